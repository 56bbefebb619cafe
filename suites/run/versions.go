package run

import (
	"flag"
	"strings"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

// defineVersions declares the flags that choose what is installed, and what is at hand
// to upgrade it to.
func (c *Config) defineVersions(flags *flag.FlagSet) {
	c.Kubernetes = image.DefaultKubernetes()
	flags.Func("kubernetes", "minor of Kubernetes: "+strings.Join(image.KubernetesVersions(), ", "), func(s string) (err error) {
		c.Kubernetes, err = image.ParseKubernetes(s)
		return err
	})
	for _, o := range []struct {
		product        image.Product
		option, second string // names of the flags
		is, next       *string
	}{
		{image.Prometheus, "prometheus", "next-prometheus", &c.Prometheus, &c.NextPrometheus},
		{image.Istio, "istio", "next", &c.Istio, &c.Next},
		{image.Operator, "operator", "next-operator", &c.Operator, &c.NextOperator},
	} {
		*o.is = o.product.Default()
		parse := func(into *string) func(string) error {
			return func(s string) (err error) {
				*into, err = o.product.Parse(s)
				return err
			}
		}
		flags.Func(o.option, "version of "+o.product.Name+", or its minor: "+strings.Join(o.product.Versions, ", "), parse(o.is))
		flags.Func(o.second, "version of "+o.product.Name+" to have at hand for an upgrade, in the same words", parse(o.next))
	}
}
