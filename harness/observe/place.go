package observe

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// place is where and how a target is scraped, and under which labels.
type place struct {
	url     string
	scheme  string
	address string
	path    string
	labels  *labelSet
}

// place is what Prometheus makes of a target's labels after the rules, as in
// scrape/target.go, PopulateLabels and Target.URL. It is nil for a target that
// Prometheus cannot use and does not have.
func (j *scrapeJob) place(s *labelSet, release release) (*place, error) {
	p := &place{labels: s}
	for _, l := range []struct {
		name string
		into *string
	}{{addressLabel, &p.address}, {schemeLabel, &p.scheme}, {pathLabel, &p.path}} {
		v := s.get(l.name)
		if v.lack != "" {
			return nil, fmt.Errorf("the label %s depends on %s", l.name, v.lack)
		}
		*l.into = v.text
	}
	p.address = release.withPort(p.scheme, p.address)
	if p.address == "" || strings.Contains(p.address, "/") {
		return nil, nil
	}
	if ok, err := timely(s); err != nil || !ok {
		return nil, err
	}
	query, err := j.query(s)
	if err != nil {
		return nil, err
	}
	p.url = (&url.URL{Scheme: p.scheme, Host: p.address, Path: p.path, RawQuery: query.Encode()}).String()
	return p, nil
}

// query is the parameters of the job, with those that labels set instead.
func (j *scrapeJob) query(s *labelSet) (url.Values, error) {
	if s.lacks.mayBegin(paramPrefix) {
		return nil, errors.New("parameters are made of labels that were not observed")
	}
	query := url.Values{}
	for name, values := range j.params {
		query[name] = slices.Clone(values)
	}
	for _, name := range s.names(func(name string) bool { return strings.HasPrefix(name, paramPrefix) }) {
		param, v := strings.TrimPrefix(name, paramPrefix), s.get(name)
		switch {
		case v.lack != "":
			return nil, fmt.Errorf("the parameter %s depends on %s", param, v.lack)
		case len(query[param]) > 0:
			query[param][0] = v.text
		default:
			query[param] = []string{v.text}
		}
	}
	return query, nil
}

// equals reports whether two targets with one URL have the same labels: Prometheus
// scrapes such only once, scrape/target.go, hash. It fails if that is not known.
// What was not observed is the same for targets of one origin.
func (p *place) equals(q *place, oneOrigin bool) (bool, error) {
	var unclear error
	if more := p.labels.mayHaveMore(); more != q.labels.mayHaveMore() || more && !oneOrigin {
		unclear = fmt.Errorf("whether %s is one target or more depends on labels that were not observed", p.url)
	}
	for _, name := range append(p.labels.names(isKept), q.labels.names(isKept)...) {
		x, y := p.labels.get(name), q.labels.get(name)
		switch {
		case x.lack == "" && y.lack == "":
			if x != y {
				return false, nil
			}
		case x == y && !x.mixed && (oneOrigin || isKept(x.lack)): // what does not begin with discovery is the job's
		default:
			unclear = fmt.Errorf("whether %s is one target or more depends on the label %s", p.url, cmp.Or(x.lack, y.lack))
		}
	}
	return unclear == nil, unclear
}

// isKept reports whether a label is kept after the rules. Those that discovery
// makes are not.
func isKept(name string) bool { return !strings.HasPrefix(name, metaPrefix) }

// mayHaveMore reports whether labels may be kept of which not even the names are
// known.
func (s *labelSet) mayHaveMore() bool { return slices.ContainsFunc(s.lacks, isKept) }

// timely reports whether a target has an interval and a timeout that Prometheus
// takes, where rules have written them.
func timely(s *labelSet) (bool, error) {
	_, interval := s.written[intervalLabel]
	_, timeout := s.written[timeoutLabel]
	if !interval && !timeout {
		return true, nil
	}
	var times [2]model.Duration
	for i, name := range []string{intervalLabel, timeoutLabel} {
		v := s.get(name)
		if v.lack != "" {
			return false, fmt.Errorf("the label %s depends on %s", name, v.lack)
		}
		var err error
		if times[i], err = model.ParseDuration(v.text); err != nil || times[i] == 0 {
			return false, nil //nolint:nilerr // Prometheus drops the target for it
		}
	}
	return times[1] <= times[0], nil
}
