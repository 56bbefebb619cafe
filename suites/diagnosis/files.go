package diagnosis

import (
	"fmt"
	"path"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
)

// fileRules are about the certificate files as the Prometheus container sees them.
var fileRules = []Rule{
	{
		Code: "certificate-file-unreadable", Layer: LayerFiles,
		Title:   "The user of the Prometheus container may not read a certificate file",
		Hides:   consequencesOfNoFiles,
		Explain: certificateFileUnreadable,
	},
	{
		Code: "certificate-file-missing", Layer: LayerFiles,
		Title:   "A certificate file is not where it should be",
		Hides:   []string{"pool-not-made", "pools-made-before-files", "configuration-not-loaded"},
		Explain: certificateFileMissing,
	},
	{
		Code: "certificate-file-invalid", Layer: LayerFiles,
		Title:   "A certificate file holds no certificate",
		Hides:   consequencesOfNoFiles,
		Explain: certificateFileInvalid,
	},
	{
		Code: "certificate-key-mismatch", Layer: LayerFiles,
		Title:   "Key and certificate do not belong together",
		Proof:   "whether the error is still there one interval later: the proxy replaces key and chain one after the other, and a scrape in between fails once",
		Hides:   consequencesOfNoFiles,
		Explain: certificateKeyMismatch,
	},
}

// eachFile calls with every file that a replica was seen to have.
func (f *facts) eachFile(call func(*replica, observe.File)) {
	for _, r := range f.replicas {
		if r.seen == nil {
			continue
		}
		for _, x := range r.files {
			call(r, x)
		}
	}
}

// aboutFile is the replica that has a file, and the monitors that name it.
func (f *facts) aboutFile(r *replica, p string) []string {
	about := []string{"replica " + r.name}
	for _, n := range f.files {
		if n.path == p {
			about = append(about, n.about...)
		}
	}
	return about
}

func certificateFileUnreadable(f *facts) []finding {
	var found []finding
	f.eachFile(func(r *replica, x observe.File) {
		if !strings.Contains(strings.ToLower(x.Error), "permission denied") {
			return
		}
		change := "let the file be written with mode 0644: Istio before 1.9.4 writes 0600 and has to be upgraded; from then on something else in the pod changes the mode"
		found = append(found, certain(f.aboutFile(r, x.Path), fmt.Sprintf("the %s container of pod %s/%s may not read %s (mode %s, owner %s)", prometheusName, f.namespace, r.name, x.Path, x.Mode, x.Owner), change))
	})
	return append(found, f.fromErrors(FileUnreadable, "let the file that the error names be readable for the user of the Prometheus container: mode 0644")...)
}

func certificateFileMissing(f *facts) []finding {
	var found []finding
	f.eachFile(func(r *replica, x observe.File) {
		if strings.Contains(strings.ToLower(x.Error), "no such file") {
			found = append(found, certain(f.aboutFile(r, x.Path), fmt.Sprintf("%s is not in the %s container of pod %s/%s", x.Path, prometheusName, f.namespace, r.name),
				"see the log of the pod's "+proxyName+" for \"error when output the resource\", and who else may remove files from that volume"))
		}
	})
	return append(found, f.fromErrors(FileMissing, "see why the file that the error names is not there")...)
}

func certificateFileInvalid(f *facts) []finding {
	var found []finding
	f.eachFile(func(r *replica, x observe.File) {
		if x.Error == "" && (x.ParseError != "" || empty(x)) {
			found = append(found, certain(f.aboutFile(r, x.Path), fmt.Sprintf("%s in pod %s/%s %s (%d bytes)", x.Path, f.namespace, r.name, firstOf(x.ParseError, "is empty"), x.Size),
				"let "+x.Path+" be what the proxy writes: nothing else may write to that volume"))
		}
	})
	return append(found, f.fromErrors(FileInvalid, "let the file that the error names hold what the proxy writes")...)
}

// empty reports whether a file was seen to have nothing in it. Of a key nothing
// else can be told: it is not read.
func empty(x observe.File) bool { return x.Error == "" && x.Mode != "" && x.Size == 0 }

// fromErrors takes Prometheus at its word where the files themselves were not
// seen: it names the file.
func (f *facts) fromErrors(c Class, change string) []finding {
	var found []finding
	for _, t := range f.targets {
		if t.class != c {
			continue
		}
		x := t.finding(reports.Likely, t.says(), change)
		x.about = t.aboutScrape()
		if !f.filesSeen() {
			x.confidence = reports.Certain
		}
		found = append(found, x)
	}
	return found
}

// filesSeen reports whether the files of any replica were looked at.
func (f *facts) filesSeen() bool {
	for _, r := range f.replicas {
		if r.seen != nil && len(r.files) > 0 {
			return true
		}
	}
	return false
}

func certificateKeyMismatch(f *facts) []finding {
	var found []finding
	files := f.files
	for i, c := range files {
		if c.role != "cert" || i+1 >= len(files) || files[i+1].role != "key" {
			continue
		}
		k := files[i+1]
		if path.Dir(path.Clean(c.path)) == path.Dir(path.Clean(k.path)) || !f.anyTrouble() {
			continue
		}
		found = append(found, certain(c.about, fmt.Sprintf("%s names the certificate %s and the key %s, from two directories", c.names, c.path, k.path),
			k.at+" to "+path.Join(path.Dir(c.path), fileOf["key"])))
	}
	for _, t := range f.targets {
		if t.class != KeyMismatch {
			continue
		}
		found = append(found, finding{about: t.aboutScrape(), seen: t.says(), confidence: reports.Likely,
			change: t.at("tlsConfig") + ".certFile and keyFile to the pair that one proxy writes; if the next scrape succeeds, nothing is wrong"})
	}
	return found
}

// anyTrouble reports whether any scrape fails.
func (f *facts) anyTrouble() bool {
	for _, t := range f.targets {
		if t.troubled() {
			return true
		}
	}
	return len(f.targets) == 0
}
