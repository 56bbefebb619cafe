package diagnosis

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// outageRules are about what a disruption outlasted.
var outageRules = []Rule{{
	Code: "outage-outlasted-certificate", Layer: LayerOutage,
	Title:   "The control plane was away for longer than a certificate that was due for renewal still lived",
	Proof:   "the log of istio-proxy: when it asked for a certificate again after istiod was back, since its pauses grow",
	Explain: outageOutlasted,
}}

// controlPlaneOutage is the disruption by the name that observations have for it, and
// what follows are two of its steps.
const (
	controlPlaneOutage = "control-plane-outage"
	outageBegins       = "begins"
	outageUndone       = "undone"
)

// outageOutlasted looks for a replica whose certificate ended before it had the next one.
func outageOutlasted(f *facts) []finding {
	var found []finding
	for _, e := range f.o.Episodes {
		if e.Disruption != controlPlaneOutage || e.Error != "" {
			continue
		}
		for _, s := range f.sets {
			if s.pod == nil {
				continue
			}
			if ended, late, ok := endedIn(e, s.pod.Name); ok {
				found = append(found, f.outlasted(e, s, ended, late))
			}
		}
	}
	return found
}

// endedIn is the first certificate of a replica that ended while it was in its files, and
// for how long it was there after its end.
func endedIn(e observe.Episode, replica string) (ended observe.Certificate, late time.Duration, ok bool) {
	var own []observe.Sighting
	for _, s := range e.Certs {
		if s.Pod == replica {
			own = append(own, s)
		}
	}
	for i, s := range own {
		until := e.To
		if i+1 < len(own) { // it may have been replaced as soon as it was seen last
			until = own[i+1].At
			if former := own[i+1].Former; !former.IsZero() {
				until = former
			}
		}
		if late := until.Sub(s.Certificate.NotAfter); late > 0 {
			return s.Certificate, late, true
		}
	}
	return observe.Certificate{}, 0, false
}

// outlasted says how long was which, and what to change so that the same outage is
// survived: what is left of a certificate when its renewal is due must be longer.
func (f *facts) outlasted(e observe.Episode, s setup, ended observe.Certificate, late time.Duration) finding {
	begins, undone := e.From, e.To
	for _, m := range e.Marks {
		switch m.Step {
		case outageBegins:
			begins = m.At
		case outageUndone:
			undone = m.At
		}
	}
	lives, ratio := lifetime(&ended), graceOf(s.variables)
	away := undone.Sub(begins).Round(time.Second)
	left := time.Duration(float64(lives) * ratio).Round(time.Second)
	x := finding{
		about: s.about, confidence: reports.Likely,
		seen: fmt.Sprintf("istiod was away for %s, from %s to %s; a certificate of %s lives for %s, of which %s are left when it is to be renewed (SECRET_GRACE_PERIOD_RATIO %s), and the one that it had ended at %s: it was without a valid one for %s",
			away, begins.Format(time.TimeOnly), undone.Format(time.TimeOnly), s.name, lives.Round(time.Second), left, strconv.FormatFloat(ratio, 'g', -1, 64), ended.NotAfter.Format(time.TimeOnly), max(late, time.Second).Round(time.Second)),
		change: fmt.Sprintf("%s: in %s set proxyMetadata.SECRET_TTL to %s or more, or SECRET_GRACE_PERIOD_RATIO nearer to 1, so that more than the outage of %s is left of a certificate when it is to be renewed%s",
			f.prometheus, metadataField, enough(away, ratio), away, f.moreReplicas()),
	}
	if !ended.NotAfter.After(undone) {
		x.confidence = reports.Certain // nobody was there to sign another
	}
	return x
}

// graceOf is which part of a certificate's life is left when its proxy renews it.
func graceOf(variables map[string]string) float64 {
	ratio, err := strconv.ParseFloat(cmp.Or(variables["SECRET_GRACE_PERIOD_RATIO"], "0.5"), 64)
	if err != nil || ratio <= 0 || ratio >= 1 {
		return 0.5 // what is wrong with it is for another rule
	}
	return ratio
}

// enough is a lifetime of which twice the outage is left when a renewal is due, in whole
// minutes: agents ask again with pauses that grow.
func enough(away time.Duration, ratio float64) string {
	lives := time.Duration(2 * float64(away) / ratio)
	minutes := max(1, int((lives+time.Minute-1)/time.Minute))
	return fmt.Sprintf("%dm", minutes)
}

// moreReplicas names the control planes that one lost pod takes away.
func (f *facts) moreReplicas() string {
	var single []string
	for _, c := range f.o.Mesh.ControlPlanes {
		if c.Replicas == 1 {
			single = append(single, c.Name)
		}
	}
	if len(single) == 0 {
		return ""
	}
	return fmt.Sprintf("; and run more than the one replica of Deployment %s, so that the loss of one is no outage", strings.Join(single, ", "))
}
