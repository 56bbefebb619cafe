package conformance

import (
	"sigs.k8s.io/yaml"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
)

// loadedJob is a job as a replica has loaded it.
type loadedJob struct {
	Name   string `json:"job_name"`
	Scheme string `json:"scheme"`
	TLS    struct {
		CA   string `json:"ca_file"`
		Cert string `json:"cert_file"`
		Key  string `json:"key_file"`
	} `json:"tls_config"`
}

func (j loadedJob) scheme() string {
	if j.Scheme == "" {
		return "http"
	}
	return j.Scheme
}

func (j loadedJob) file(role string) string {
	switch role {
	case observe.RoleCA:
		return j.TLS.CA
	case observe.RoleCert:
		return j.TLS.Cert
	}
	return j.TLS.Key
}

// jobsOf reads the jobs out of what a replica has loaded; nil if it was not seen.
func jobsOf(r observe.Replica, f *finding) map[string]loadedJob {
	if r.Configuration == "" {
		f.Unclear("what %s has loaded was not seen", r.Pod)
		return nil
	}
	var configuration struct {
		Jobs []loadedJob `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(r.Configuration), &configuration); err != nil {
		f.Unclear("what %s has loaded cannot be read: %v", r.Pod, err)
		return nil
	}
	jobs := map[string]loadedJob{}
	for _, j := range configuration.Jobs {
		jobs[j.Name] = j
	}
	return jobs
}
