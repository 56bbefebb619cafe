package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
)

// Series is one series of the answer to a query.
type Series struct {
	Labels  map[string]string
	Samples []model.SamplePair // one, if the answer is a vector
}

// EachSeries evaluates an expression at an instant and gives each series of the answer
// as it is read: of ten thousand, what is kept of them is little beside the answer.
func (r *Replica) EachSeries(ctx context.Context, expression string, at time.Time, each func(Series)) error {
	body, err := r.client.Get(ctx, r.address, queryPath(expression, at), answerLimit)
	if err == nil {
		defer body.Close()
		err = readSeries(body, each)
	}
	return r.explain("the answer to "+expression, err)
}

func queryPath(expression string, at time.Time) string {
	query := url.Values{"query": {expression}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}
	return "/api/v1/query?" + query.Encode()
}

func readSeries(body io.Reader, each func(Series)) error {
	answered, refused := false, ""
	d := json.NewDecoder(body)
	err := object(d, func(key string) error {
		if key == "error" {
			return d.Decode(&refused)
		}
		if key != "data" {
			return skip(d)
		}
		return object(d, func(key string) error {
			if key != "result" {
				return skip(d)
			}
			answered = true
			return array(d, func() error {
				var s struct {
					Metric map[string]string  `json:"metric"`
					Value  *model.SamplePair  `json:"value"`
					Values []model.SamplePair `json:"values"`
				}
				if err := d.Decode(&s); err != nil {
					return err
				}
				if s.Value != nil {
					s.Values = []model.SamplePair{*s.Value}
				}
				each(Series{s.Metric, s.Values})
				return nil
			})
		})
	})
	switch {
	case err != nil:
		return fmt.Errorf("the answer cannot be read: %w", err)
	case refused != "":
		return errors.New(refused)
	case !answered:
		return errors.New("the answer has no result")
	}
	return nil
}
