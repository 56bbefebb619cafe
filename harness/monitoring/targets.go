package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Targets are the active targets of a replica, and how many it dropped.
type Targets struct {
	Active  []Target
	Dropped int
}

// Target is an active target as Prometheus lists it. Of what discovery found, only
// the interval is kept: it is most of the answer.
type Target struct {
	Discovered struct {
		Interval string `json:"__scrape_interval__"`
	} `json:"discoveredLabels"`
	Labels     map[string]string `json:"labels"`
	ScrapePool string            `json:"scrapePool"`
	ScrapeURL  string            `json:"scrapeUrl"`
	LastError  string            `json:"lastError"`
	LastScrape time.Time         `json:"lastScrape"`
	Health     string            `json:"health"`
}

// Targets returns the active and counts the dropped targets. The answer is read
// target by target: with ten thousand of them it is larger than all that is kept.
func (r *Replica) Targets(ctx context.Context) (Targets, error) {
	body, err := r.client.Get(ctx, r.address, "/api/v1/targets", answerLimit)
	if err != nil {
		return Targets{}, r.explain("its targets", err)
	}
	defer body.Close()
	t, err := readTargets(body)
	return t, r.explain("its targets", err)
}

func readTargets(body io.Reader) (Targets, error) {
	var found Targets
	answered := false
	d := json.NewDecoder(body)
	err := object(d, func(key string) error {
		if key != "data" {
			return skip(d)
		}
		return object(d, func(key string) error {
			switch key {
			case "activeTargets":
				answered = true
				return array(d, func() error {
					var t Target
					err := d.Decode(&t)
					found.Active = append(found.Active, t)
					return err
				})
			case "droppedTargets":
				return array(d, func() error { found.Dropped++; return skip(d) })
			}
			return skip(d)
		})
	})
	if err == nil && !answered {
		err = errors.New("the answer lists no targets")
	}
	return found, err
}

// object reads an object, whose values are read by what is called with their keys.
func object(d *json.Decoder, value func(key string) error) error {
	return within(d, '{', func() error {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string) // the decoder takes nothing else for a key
		return value(name)
	})
}

// array reads an array, whose elements are read by what is called for each.
func array(d *json.Decoder, element func() error) error { return within(d, '[', element) }

// within reads what an opening and a closing delimiter enclose. Null encloses
// nothing.
func within(d *json.Decoder, opening json.Delim, next func() error) error {
	switch t, err := d.Token(); {
	case err != nil:
		return err
	case t == nil:
		return nil
	case t != opening:
		return fmt.Errorf("the answer has %v where %v must be", t, opening)
	}
	for d.More() {
		if err := next(); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// skip reads a value that nobody wants.
func skip(d *json.Decoder) error {
	var unwanted struct{}
	var mismatch *json.UnmarshalTypeError
	if err := d.Decode(&unwanted); err != nil && !errors.As(err, &mismatch) {
		return err
	}
	return nil
}
