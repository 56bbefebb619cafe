package stack

import (
	"context"
	"path/filepath"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

// Open takes up what an earlier Up left standing. Versions are looked for
// only if the options name one to upgrade to; that the nodes have its images is
// for who made the cluster to see to.
func Open(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{}
	e, err := engine.Find(ctx, engine.Options{StateDir: filepath.Join(o.Cache, "engine"), Log: func(string, ...any) {}})
	if err != nil {
		return s, err
	}
	if s.Cluster, err = cluster.Open(ctx, e, o.ClusterName, o.Dir); err != nil {
		return s, err
	}
	if s.Client, err = s.Cluster.Client(); err != nil || o.Next == "" && o.NextPrometheus == "" && o.NextOperator == "" {
		return s, err
	}
	root, err := image.Root()
	if err != nil {
		return s, err
	}
	parts := sources{mirror: o.Mirror, lock: o.Lock}
	parts.source, _ = image.Choose(ctx, o.Images, o.Mirror.Transport())
	if _, err := parts.choose(ctx, o, root); err != nil {
		return s, err
	}
	s.take(parts)
	return s, nil
}
