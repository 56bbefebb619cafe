package cluster

import (
	"fmt"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"
)

// NewClient makes a client that several goroutines may use at a time. The framework's
// own keeps the namespace that it was asked for last, whoever asked: of two goroutines
// each could list what is in the other's.
func NewClient(config *rest.Config) (klient.Client, error) {
	shared, err := klient.New(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	return client{shared, *shared.Resources()}, nil
}

type client struct {
	klient.Client
	resources resources.Resources // of no namespace; never changed
}

// Resources is a value of the caller's own. It takes one namespace at most, or none.
func (c client) Resources(namespace ...string) *resources.Resources {
	own := c.resources
	switch len(namespace) {
	case 0:
		return &own
	case 1:
		return own.WithNamespace(namespace[0])
	}
	panic("too many namespaces")
}
