package upgrade

import (
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// upgradeOperator brings the Operator to another version: first the definitions, then
// itself, then each replica with the reloader of that version. In between, an older
// reloader runs with what a newer Operator has generated; on the way back it is the other
// way round.
var upgradeOperator = Check{
	ID:     "upgrade-operator",
	Way:    "operator",
	Title:  "The Operator is upgraded, definitions first, and rolled back, and every scrape goes on at each step",
	Level:  reports.Core,
	Begins: operatorBegins,
	Assess: func(r Record, f *finding) {
		f.reloadersSideBySide(r, Forward, Back)
		f.operates(r, Forward, r.To)
		f.operates(r, Back, r.From)
	},
}

func operatorBegins(r Record, f *finding) { f.operates(r, Before, r.From) }

// operates requires that at the end of a stage the Operator is of one version, and so is
// the reloader beside every replica.
func (f *finding) operates(r Record, stage Stage, version string) {
	last, ok := r.last(stage)
	if !ok {
		return
	}
	o := last.Observation
	switch is := o.Versions.Operator; is {
	case version:
		f.Saw(sourceAPI, "the Operator", "in the end of the way %s it is of version %s", stage, version)
	case "":
		f.Unclear("at the end of the way %s no Operator was seen", stage)
	default:
		f.Fail("at the end of the way %s, the Operator is of version %s, not of %s", stage, is, version)
	}
	replicas := observe.Replicas(o)
	if len(replicas) == 0 {
		f.Unclear("at the end of the way %s no replica of Prometheus was seen", stage)
	}
	for _, p := range replicas {
		switch is := imageVersion(monitoring.ReloaderOf(p.Spec)); is {
		case version:
			f.Saw(sourceAPI, p.Name, "in the end of the way %s its reloader is of version %s", stage, version)
		case "":
			f.Unclear("at the end of the way %s, which version the reloader of %s is was not seen", stage, p.Name)
		default:
			f.Fail("at the end of the way %s, the reloader of %s is of version %s, not of %s", stage, p.Name, is, version)
		}
	}
}

// reloadersSideBySide requires that in each of some stages, while the replicas had
// reloaders of different versions, those with each had scrapes that succeeded.
func (f *finding) reloadersSideBySide(r Record, stages ...Stage) {
	f.bothScrape(r, "with the reloader ", r.From, r.To, Step.byReloader, stages...)
}

// byReloader counts the scrapes that succeeded after a step, by the version of the
// replica's reloader.
func (s Step) byReloader() map[string]int {
	o := s.Observation
	return s.scrapesBy(func(pod string) string {
		if o.Prometheus == nil {
			return ""
		}
		p := observe.FindPod(o, o.Prometheus.Namespace, pod)
		if p == nil {
			return ""
		}
		return imageVersion(monitoring.ReloaderOf(p.Spec))
	})
}

// imageVersion is the tag of an image; empty if it has none.
func imageVersion(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}
