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
)

// Prometheuses lists those of a namespace, or of all if it is empty, by name.
func Prometheuses(ctx context.Context, config *rest.Config, namespace string) ([]types.NamespacedName, error) {
	client, err := resources.New(config)
	if err == nil {
		err = monitoringv1.AddToScheme(client.GetScheme())
	}
	if err != nil {
		return nil, fmt.Errorf("making a client to look for a Prometheus with: %w", err)
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
