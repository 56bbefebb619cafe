package upgrade

import (
	"context"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
)

// otherRoot gives the newer control plane a CA of its own. The Secret with the one that
// all share stays as it is, so that the way back needs no key of it.
//
// By a second revision, whoever is made anew believes nobody who is not: pairs of an old
// and a new proxy fail, and the others go on. In place, istiod publishes the new root
// where the old one was, and proxies of the old one cannot renew their certificates
// until the kubelet has brought it to them.
func otherRoot(s *subject, _ string) { s.to.OwnCA = s.namespace }

// reunited is a move after which the sidecars trust the root again that they had in the
// beginning.
func (s subject) reunited(m move) move {
	if s.to.OwnCA == "" {
		return m
	}
	apply := m.change.Apply
	m.change.Title += ", whose root is brought to every pod"
	m.change.Apply = func(ctx context.Context) error {
		if err := apply(ctx); err != nil {
			return err
		}
		return mesh.LeaveOwnCA(ctx, s.client, s.namespace)
	}
	return m
}

// rooted tells, in a title, of a root that is another.
func rooted(r mesh.Release) string {
	if r.OwnCA == "" {
		return ""
	}
	return ", which signs with another root"
}
