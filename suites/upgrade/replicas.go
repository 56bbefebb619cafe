package upgrade

import (
	"slices"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// release is a version as Prometheus tells its own, as in "3.16.0" for "v3.16.0".
func release(version string) string { return strings.TrimPrefix(version, "v") }

// runs requires that at the end of a stage every replica says that it is of one version.
func (f *finding) runs(r Record, stage Stage, version string) {
	last, ok := r.last(stage)
	if !ok {
		return
	}
	replicas := last.Observation.Replicas
	if len(replicas) == 0 {
		f.Unclear("at the end of the way %s no replica of Prometheus was seen", stage)
	}
	for _, p := range replicas {
		switch p.Version {
		case release(version):
			f.Saw(sourceOwn, p.Pod, "in the end of the way %s it is of version %s", stage, p.Version)
		case "":
			f.Unclear("at the end of the way %s, %s did not say which version it is", stage, p.Pod)
		default:
			f.Fail("at the end of the way %s, %s is of version %s, not of %s", stage, p.Pod, p.Version, release(version))
		}
	}
}

// sideBySide requires that in each of some stages, while the replicas were of different
// versions, those of each had scrapes that succeeded.
func (f *finding) sideBySide(r Record, stages ...Stage) {
	f.bothScrape(r, "of version ", release(r.From), release(r.To), Step.byVersion, stages...)
}

// bothScrape requires that in each of some stages, after its first replica was made anew,
// replicas of both versions had scrapes that succeeded. What is of a version is told
// before it, as in "of version ".
func (f *finding) bothScrape(r Record, what, from, to string, count func(Step) map[string]int, stages ...Stage) {
	for _, stage := range stages {
		i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == Name{stage, firstReplica} })
		if i < 0 {
			continue // that it was not tried is told with the steps
		}
		seen := count(r.Steps[i])
		for _, version := range []string{from, to} {
			if seen[version] == 0 {
				f.Unclear("on the way %s no scrape by a Prometheus %s%s was seen beside one of the other", stage, what, version)
				continue
			}
			f.Saw(sourceScrapes, "the way "+string(stage), "side by side with the other, a Prometheus %s%s: %d scrapes succeeded", what, version, seen[version])
		}
	}
}

// byVersion counts the scrapes that succeeded after a step, by the version of the
// replica.
func (s Step) byVersion() map[string]int {
	return s.scrapesBy(func(pod string) string {
		i := slices.IndexFunc(s.Observation.Replicas, func(p observe.Replica) bool { return p.Pod == pod })
		if i < 0 {
			return ""
		}
		return s.Observation.Replicas[i].Version
	})
}

// scrapesBy counts the scrapes that succeeded after a step, by what their replica is;
// empty is not counted. Those before it may be of the replica that was replaced.
func (s Step) scrapesBy(version func(pod string) string) map[string]int {
	e := s.episode()
	settled := settledAt(e)
	seen := map[string]int{}
	if settled.IsZero() {
		return seen
	}
	for _, u := range e.Up {
		of := version(u.Pod)
		if of == "" {
			continue
		}
		for _, series := range u.Series {
			for _, p := range series.Points {
				if p.Value == 1 && p.At.After(settled) {
					seen[of]++
				}
			}
		}
	}
	return seen
}
