package observe

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

func TestProbesAndScrapeConfigsHaveFilesFromTheirScrapeClassOnly(t *testing.T) {
	files := monitoringv1.TLSConfig{TLSFilesConfig: monitoringv1.TLSFilesConfig{CAFile: "/c/ca", CertFile: "/c/cert", KeyFile: "/c/key"}}
	secret := monitoringv1.SafeTLSConfig{
		Cert: monitoringv1.SecretOrConfigMap{Secret: &corev1.SecretKeySelector{Key: "cert"}}, KeySecret: &corev1.SecretKeySelector{Key: "key"},
	}
	for name, c := range map[string]struct {
		class       *string
		isDefault   bool
		tls         *monitoringv1.SafeTLSConfig
		want        []string
		certificate bool
	}{
		"no class":                            {nil, false, nil, nil, false},
		"the class by name":                   {ptr("mesh"), false, nil, []string{"/c/ca", "/c/cert", "/c/key"}, true},
		"the class by default":                {nil, true, nil, []string{"/c/ca", "/c/cert", "/c/key"}, true},
		"settings that are empty":             {ptr("mesh"), false, &monitoringv1.SafeTLSConfig{}, []string{"/c/ca", "/c/cert", "/c/key"}, true},
		"settings that lack files":            {ptr("mesh"), false, &monitoringv1.SafeTLSConfig{InsecureSkipVerify: ptr(true)}, []string{"/c/ca", "/c/cert", "/c/key"}, true},
		"a certificate from a Secret":         {ptr("mesh"), false, &secret, []string{"/c/ca"}, true},
		"a certificate from a Secret alone":   {nil, false, &secret, nil, true},
		"settings without any file or Secret": {nil, false, &monitoringv1.SafeTLSConfig{InsecureSkipVerify: ptr(true)}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := small()
			o.ServiceMonitors, o.PodMonitors = nil, nil
			o.Prometheus.Spec.ScrapeClasses = []monitoringv1.ScrapeClass{{Name: "mesh", Default: &c.isDefault, TLSConfig: &files}}
			https := monitoringv1.Scheme("HTTPS")
			p, s := probing(o), configuring(o)
			p.ProberSpec.Scheme, p.ScrapeClassName, p.TLSConfig = &https, c.class, c.tls
			s.Scheme, s.ScrapeClassName, s.TLSConfig = &https, c.class, c.tls
			monitors := Monitors(*o)
			assert.Len(t, monitors, 2)
			for i, want := range []string{"probe/apps/b", "scrapeConfig/apps/c"} {
				j := monitors[i].Jobs[0]
				assert.True(t, monitors[i].Selected)
				assert.Equal(t, []any{want, "https", c.certificate}, []any{j.Name, j.Scheme, j.HasCertificate})
				var paths []string
				for _, f := range j.Files {
					paths = append(paths, f.Path)
				}
				assert.Equal(t, c.want, paths)
			}
		})
	}
	o := small()
	probing(o)
	configuring(o)
	for _, m := range Monitors(*o)[2:] {
		assert.Equal(t, "http", m.Jobs[0].Scheme, m.String())
	}
}
