package stack

import (
	"context"
	"path/filepath"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
)

// Open takes up what an earlier Up left standing.
func Open(ctx context.Context, cache, clusterName, dir string) (*Stack, error) {
	s := &Stack{}
	e, err := engine.Find(ctx, engine.Options{StateDir: filepath.Join(cache, "engine"), Log: func(string, ...any) {}})
	if err != nil {
		return s, err
	}
	if s.Cluster, err = cluster.Open(ctx, e, clusterName, dir); err != nil {
		return s, err
	}
	s.Client, err = s.Cluster.Client()
	return s, err
}
