package conformance

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// certificatesMounted looks at the files where they are read, not where they are
// written. A file that Prometheus cannot read gives no target that is down: it
// gives no target at all, and nothing in the API says why.
var certificatesMounted = Check{
	ID:      "certificates-mounted",
	Title:   "The certificate files that monitors name are there, readable and current, in the Prometheus container",
	Profile: ProfileSetup,
	Level:   reports.Core,
	Reads:   reads("the certificate files of ", "the certificate of "),
	Assess: func(o *subject, f *finding) {
		files := observe.UsedFiles(o.Observation)
		if len(files) == 0 {
			f.Unclear("no monitor that the Prometheus selects names a certificate file, itself or by its scrape class")
			return
		}
		wantReplicas(o, f)
		assessNamed(o, f)
		if !o.May(cluster.Exec) {
			f.withheld(cluster.Exec, "the certificate files in Prometheus' containers were not looked at")
			return
		}
		for _, r := range o.Replicas {
			if unread(o, "the certificate files of "+r.Pod) {
				continue
			}
			for _, n := range files {
				assessFile(o, r, n, f)
			}
		}
	},
}

// assessNamed fails for a job that is to scrape through a proxy and names no
// certificate to do it with.
func assessNamed(o *subject, f *finding) {
	bare := map[string]string{}
	for _, m := range observe.Monitors(o.Observation) {
		for _, j := range m.Jobs {
			if m.Selected && j.Scheme == "https" && !j.HasCertificate {
				bare[j.Name] = fmt.Sprintf("%s, %s", m, j.Field)
			}
		}
	}
	if len(bare) == 0 {
		return
	}
	expected, _ := o.expect()
	for _, e := range expected {
		if object, ok := bare[e.Pool]; ok && meshed(o, e) {
			f.Fail("%s names no client certificate, and its target %s is in the mesh: %s", object, podName(e), modeOf(o, e))
			delete(bare, e.Pool)
		}
	}
}

func assessFile(o *subject, r observe.Replica, n observe.NamedFile, f *finding) {
	i := slices.IndexFunc(r.Files, func(x observe.File) bool { return x.Path == n.Path })
	if i < 0 {
		f.Unclear("%s: nobody looked at %s, named by %s", r.Pod, n.Path, n.By)
		return
	}
	file := r.Files[i]
	switch {
	case file.Error != "":
		f.Fail("%s: the Prometheus container cannot read %s, named by %s: %s%s", r.Pod, n.Path, n.By, file.Error, modeAndOwner(file))
	case file.Size == 0:
		f.Fail("%s: %s, named by %s, is empty", r.Pod, n.Path, n.By)
	case file.ParseError != "":
		f.Fail("%s: %s, named by %s, cannot be used as the %s: it %s", r.Pod, n.Path, n.By, n.Role, file.ParseError)
	case n.Role == observe.RoleCert:
		assessCurrent(o, r, file, f)
	default:
		f.Saw(sourceFiles, r.Pod, "%s is readable, %d bytes%s", n.Path, file.Size, modeAndOwner(file))
	}
}

// assessCurrent judges the time for which a certificate is valid. What was read
// was read a little after the observation began, hence the minute.
func assessCurrent(o *subject, r observe.Replica, file observe.File, f *finding) {
	chain, _ := observe.CertificateFiles(o.Observation)
	c := r.Certificate
	switch {
	case c == nil || file.Path != chain:
		f.Unclear("%s: nobody looked for how long the certificate in %s is valid", r.Pod, file.Path)
	case c.NotAfter.IsZero() || c.NotBefore.IsZero():
		f.Unclear("%s: it is not known for how long the certificate in %s is valid", r.Pod, file.Path)
	case !o.At.Before(c.NotAfter):
		f.Fail("%s: the certificate in %s ended at %s, it was %s then: its sidecar does not renew it", r.Pod, file.Path, c.NotAfter.Format(time.DateTime), o.At.Format(time.DateTime))
	case c.NotBefore.After(o.At.Add(time.Minute)):
		f.Fail("%s: the certificate in %s is not valid before %s, it was %s then", r.Pod, file.Path, c.NotBefore.Format(time.DateTime), o.At.Format(time.DateTime))
	default:
		f.Saw(sourceFiles, r.Pod, "%s holds serial %s, valid from %s to %s%s", file.Path, c.Serial, c.NotBefore.Format(time.DateTime), c.NotAfter.Format(time.DateTime), modeAndOwner(file))
	}
}

func modeAndOwner(file observe.File) string {
	if file.Mode == "" {
		return ""
	}
	return fmt.Sprintf(" (mode %s, owner %s)", file.Mode, file.Owner)
}
