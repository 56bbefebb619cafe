package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/cluster"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// step is a part of a run: something is looked at, and then profiles can be judged.
type step struct {
	looks    []func() error
	profiles []string
}

// steps are those of a run, in their order: the subject as it stands, once more
// after its certificates were watched for a while, and, if asked to, while parts of
// it are taken away.
func (s *Session) steps() []step {
	if s.run.Mode == run.Attach {
		return []step{{[]func() error{s.Attach}, []string{ProfileSetup, ProfileScrape, ProfileRotation}}}
	}
	return []step{
		{[]func() error{s.Observe, s.Admit}, []string{ProfileSetup, ProfileScrape, ProfileRefusal}},
		{[]func() error{s.Watch, s.RotateRoot}, []string{ProfileRotation}},
		{[]func() error{s.Disrupt}, []string{ProfileResilience}},
	}
}

// look is a phase of looking on, after which the report tells what was seen.
func (s *Session) look(name string, work func(ctx context.Context) (note string, err error)) error {
	s.failed = s.run.Phase(name, work)
	s.describe()
	return s.failed
}

// wants reports whether there is something to look on for: one of the checks runs,
// and nothing has failed before, which then is what is told.
func (s *Session) wants(checks ...Check) bool {
	return s.failed == nil && slices.ContainsFunc(checks, s.runs)
}

// Observe waits for the first scrapes and then looks once. That nothing is
// scraped in time is for the checks to say.
func (s *Session) Observe() error {
	s.failed = s.run.Phase("first scrapes", func(ctx context.Context) (string, error) {
		config, err := s.run.REST()
		if err != nil {
			return "", err
		}
		if restored, err := disrupt.Restore(ctx, s.run.Stack.Client); err != nil {
			return "", err
		} else if len(restored) > 0 {
			s.run.Terminal.Note("an earlier run had left disrupted, and this one restored: " + strings.Join(restored, ", "))
		}
		if s.observer, err = observe.NewObserver(config, s.run.SubjectNamespace(), "default"); err != nil {
			return "", err
		}
		_, note := s.observer.Settle(ctx, s.run.Settle)
		return note, nil
	})
	if s.failed != nil {
		return s.failed
	}
	return s.look("observe", func(ctx context.Context) (note string, err error) {
		s.observation, err = s.observer.Observe(ctx)
		return fmt.Sprintf("%d requests to the API server", s.observation.Requests), err
	})
}

// Attach looks once at a subject that is not ours.
func (s *Session) Attach() error {
	r := s.run
	return s.look("observe", func(ctx context.Context) (note string, err error) {
		if s.observer, err = observe.NewObserver(r.Guest.Config, r.Guest.Prometheus.Namespace, r.Guest.Prometheus.Name); err != nil {
			return "", err
		}
		if r.Guest.Mesh != nil {
			if err = s.observer.MeshElsewhere(r.Guest.Mesh); err != nil {
				return "", err
			}
		}
		s.observation, err = s.observer.Attach(ctx, observe.Guest{Permitted: r.Permit, History: r.History, Settle: r.Settle})
		return fmt.Sprintf("Prometheus %s; %d requests to the API server", r.Guest.Prometheus, s.observation.Requests), err
	})
}

// Admit looks on while a policy admits only Prometheus, if a check wants to know.
// Only on a cluster that has a workload to show that another is not admitted.
func (s *Session) Admit() error {
	if !s.wants(identityAuthorized) {
		return nil
	}
	d, err := OnlyPrometheusAdmitted(s.run.Stack.Client, s.run.SubjectNamespace(), s.observation.TrustDomain)
	if err != nil {
		return err
	}
	return s.look(d.Name, func(ctx context.Context) (string, error) {
		var marks []observe.Mark
		err := disrupt.While(ctx, d, marker(&marks), func(ctx context.Context) (err error) {
			s.observation.Admission, err = s.observer.Admission(ctx, s.observation)
			return err
		})
		if s.observation.Admission != nil {
			s.observation.Admission.Marks = marks
		}
		return d.Title, err
	})
}

// marker notes when each step of a disruption took effect.
func marker(marks *[]observe.Mark) func(step string) {
	return func(step string) { *marks = append(*marks, observe.Mark{At: time.Now().UTC(), Step: step}) }
}

// Watch looks on while certificates are renewed, if any check wants to know: those
// that the guide's monitor uses and, if asked to, those of a monitor without
// caFile beside it.
func (s *Session) Watch() error {
	if !s.wants(scraperCertificateRotated, targetCertificateRotated, rotationWithoutCAFile) {
		return nil
	}
	return s.look("watch", func(ctx context.Context) (note string, err error) {
		watch := func(ctx context.Context) (err error) {
			s.observation, err = s.observer.Watch(ctx, s.observation, s.run.Watch)
			return err
		}
		if s.runs(rotationWithoutCAFile) && rotatesWithoutCAFile(s.observation) != crashes {
			err = s.besideVariant(ctx, watch)
		} else {
			err = watch(ctx)
		}
		if s.observation.Watch == nil { // what was to stand beside it could not be brought about
			return "", err
		}
		return s.observation.Watch.Ended, err
	})
}

// besideVariant does some work while there is a second monitor, which has no
// caFile.
func (s *Session) besideVariant(ctx context.Context, work func(context.Context) error) error {
	client := s.run.Stack.Client
	d, err := WithoutCAFile(client, s.run.SubjectNamespace())
	if err != nil {
		return err
	}
	var marks []observe.Mark
	var variant *observe.Variant
	before := s.observation
	nudge := func(ctx context.Context) error {
		return cluster.Refresh(ctx, client, s.run.SubjectNamespace(), "operator.prometheus.io/name")
	}
	err = disrupt.While(ctx, d, marker(&marks), func(ctx context.Context) error {
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			variant = s.observer.Variant(gctx, before, WithoutCA, nudge)
			return nil
		})
		g.Go(func() error { return work(gctx) })
		return g.Wait()
	})
	if variant != nil {
		variant.Marks = marks
		s.observation.WithoutCA = variant
	}
	if err != nil || s.run.Mode != run.Check {
		return err
	}
	// The cluster stays, and whoever looks at it next must not find our monitor.
	if err := s.observer.VariantGone(ctx, before, WithoutCA, nudge); err != nil {
		s.run.LeftBehind(err)
	}
	return nil
}

// RotateRoot has the mesh change its root of trust, if a check wants to know.
func (s *Session) RotateRoot() error {
	if !s.wants(rootRotated) {
		return nil
	}
	return s.look(RootRotation, func(ctx context.Context) (string, error) {
		steps, err := s.rootSteps(ctx)
		if err != nil {
			s.observation.RootRotation = &observe.RootRotation{Error: err.Error()}
			return "", nil //nolint:nilerr // that it cannot be done here is for the check to say
		}
		var marks []observe.Mark
		s.observation.RootRotation, err = s.observer.RootRotation(ctx, s.observation, steps, marker(&marks))
		if r := s.observation.RootRotation; r != nil {
			r.Marks = marks
		}
		return "root A, then A and B, then signed below B, then root B", err
	})
}

// rootSteps are those from the root that the mesh has to one that is made here.
func (s *Session) rootSteps(ctx context.Context) ([]observe.RootStep, error) {
	client := s.run.Stack.Client
	present, err := mesh.Roots(ctx, client)
	if err != nil {
		return nil, err
	}
	next, err := mesh.NewCA()
	if err != nil {
		return nil, err
	}
	rotation, err := disrupt.RootRotation(present, next)
	if err != nil {
		return nil, err
	}
	var steps []observe.RootStep
	for _, r := range rotation {
		steps = append(steps, observe.RootStep{
			Name: r.Name, Roots: r.Roots, Signer: r.Signer,
			Apply: func(ctx context.Context) error {
				if err := r.Apply(ctx, client); err != nil {
					return err
				}
				// What the agents trust istiod by is in a ConfigMap that pods mount.
				return cluster.Refresh(ctx, client, s.run.SubjectNamespace(), "")
			},
		})
	}
	return steps, nil
}

// parts are those of the subject that can be disrupted.
func (s *Session) parts() Parts {
	p := OwnParts(s.run.SubjectNamespace())
	if s.run.Mode == run.Sandbox {
		p.Operator, p.ControlPlane = s.run.Shared.Operator, s.run.Shared.ControlPlane
	}
	return p
}

// Disrupt brings the disruptions about that the planned checks ask for, one at a
// time: a check's ID is the name of its disruption and "-survived".
func (s *Session) Disrupt() error {
	for _, d := range Disruptions(s.run.Stack.Client, s.parts(), s.run.Outage) {
		wanted := func(p Planned) bool { return p.ID == d.Name+"-survived" && p.Reason == "" }
		if s.failed != nil || !slices.ContainsFunc(s.planned, wanted) {
			continue
		}
		s.failed = s.run.Phase(d.Name, func(ctx context.Context) (string, error) {
			e, err := s.observer.Episode(ctx, time.Time{}, d.Name, d.Title, s.run.Settle, func(ctx context.Context, mark func(string)) error {
				return disrupt.Run(ctx, d, mark)
			})
			s.observation.Episodes = append(s.observation.Episodes, e)
			return e.Settled, err
		})
	}
	s.describe()
	return s.failed
}
