package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
)

// Prometheuses lists those of a namespace, or of all if it is empty, by name.
func Prometheuses(ctx context.Context, config *rest.Config, namespace string) ([]types.NamespacedName, error) {
	client, err := operatorClient(config)
	if err != nil {
		return nil, err
	}
	var found monitoringv1.PrometheusList
	if err := client.WithNamespace(namespace).List(ctx, &found); err != nil {
		return nil, fmt.Errorf("looking for a Prometheus: %w", err)
	}
	var names []types.NamespacedName
	for _, p := range found.Items {
		names = append(names, types.NamespacedName{Namespace: p.Namespace, Name: p.Name})
	}
	slices.SortFunc(names, func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) })
	return names, nil
}

// WebOf is how a Prometheus serves its API, by its object.
func WebOf(ctx context.Context, config *rest.Config, name types.NamespacedName) (monitoring.Web, error) {
	client, err := operatorClient(config)
	if err != nil {
		return monitoring.Web{}, err
	}
	var all monitoringv1.PrometheusList
	if err := client.WithNamespace(name.Namespace).List(ctx, &all); err != nil {
		return monitoring.Web{}, fmt.Errorf("reading Prometheus %s: %w", name, err)
	}
	for _, p := range all.Items {
		if p.Name == name.Name {
			return webOf(&p), nil
		}
	}
	return monitoring.Web{}, fmt.Errorf("there is no Prometheus %s", name)
}

// operatorClient knows the Operator's kinds.
func operatorClient(config *rest.Config) (*resources.Resources, error) {
	client, err := resources.New(config)
	if err == nil {
		err = monitoringv1.AddToScheme(client.GetScheme())
	}
	if err != nil {
		return nil, fmt.Errorf("making a client to look for a Prometheus with: %w", err)
	}
	return client, nil
}
