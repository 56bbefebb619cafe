package upgrade

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/mesh"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/monitoring"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/recorded"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
)

const (
	older = "1.30.4"
	newer = "1.31.0"
)

var planned = subject{
	namespace:  "default",
	prometheus: prometheus{monitoring.Release{Version: "v3.12.0"}, monitoring.Release{Version: "v3.16.0"}},
	operator:   operators{monitoring.OperatorRelease{Version: "v0.91.0"}, monitoring.OperatorRelease{Version: "v0.92.0"}},
	from:       mesh.Release{Version: older, Revision: mesh.DefaultRevision}, to: mesh.Release{Version: newer, Revision: mesh.DefaultRevision},
}

// world is what an upgrade changes, by what it is to be after each step.
type world struct {
	proxies  map[string]string // version, by namespace/name of the pod
	planes   []observe.ControlPlane
	replicas map[string]string // version of Prometheus, by namespace/name of the pod
	operator string
	reloader map[string]string // version, by namespace/name of the pod
}

// make changes the world as a step of the upgrade that a check judges is meant to.
func (w *world) make(check string, n Name, targets, replicas []string) {
	from, version := planned.versions(check)
	if n.Stage == Back || n.Stage == Before {
		version = from
	}
	if check == upgradeOperator.ID {
		if n.Step == operatorStep {
			w.operator = version
		}
		for _, pod := range map[string][]string{"first-replica": replicas[:1], "second-replica": replicas[1:]}[n.Step] {
			w.reloader[pod] = version
		}
		return
	}
	if check == upgradePrometheus.ID {
		for _, pod := range map[string][]string{"first-replica": replicas[:1], "second-replica": replicas[1:]}[n.Step] {
			w.replicas[pod] = release(version)
		}
		return
	}
	renewed := map[string][]string{
		"first-target": targets[:1], "first-replica": replicas[:1], "second-replica": replicas[1:], "rest": targets, "pods": slices.Concat(targets, replicas),
	}
	for _, pod := range renewed[n.Step] {
		w.proxies[pod] = version
	}
	switch n.Step {
	case "control-plane":
		w.planes = []observe.ControlPlane{{Name: "istio-system/istiod", Version: version}}
	case "second-control-plane":
		w.planes = append(slices.Clone(w.planes), observe.ControlPlane{Name: "istio-system/istiod-1-31", Revision: "1-31", Version: newer})
	case "old-control-plane":
		w.planes = w.planes[1:]
	}
}

// good is the record of an upgrade on which everything went on, of the real stack's
// pods: a copy for each test to spoil.
func good(t *testing.T, check string) Record {
	t.Helper()
	base := recorded.Load(recorded.Good)
	base.Admission, base.Watch, base.WithoutCA, base.RootRotation = nil, nil, nil, nil // what steps do not have
	targets := targetsOf(base)
	var replicas []string
	for _, r := range observe.Replicas(base) {
		replicas = append(replicas, r.Namespace+"/"+r.Name)
	}
	require.Len(t, replicas, 2)
	r := Record{Check: check}
	r.From, r.To = planned.versions(check)
	w := world{proxies: map[string]string{}, planes: []observe.ControlPlane{{Name: "istio-system/istiod", Version: older}}, replicas: map[string]string{}, operator: planned.operator.from.Version, reloader: map[string]string{}}
	for _, p := range base.Pods {
		w.proxies[p.Namespace+"/"+p.Name] = older
	}
	for _, pod := range replicas {
		w.replicas[pod], w.reloader[pod] = release(planned.prometheus.from.Version), planned.operator.from.Version
	}
	at := base.At
	for _, m := range planned.plan(check) {
		w.make(check, m.Name, targets, replicas)
		o := base
		o.Mesh.ControlPlanes, o.Versions.Operator = w.planes, w.operator
		o.Pods, o.Replicas = nil, slices.Clone(base.Replicas)
		for i := range o.Replicas {
			o.Replicas[i].Version = w.replicas["default/"+o.Replicas[i].Pod]
		}
		for _, p := range base.Pods {
			name := p.Namespace + "/" + p.Name
			o.Pods = append(o.Pods, withReloader(withProxy(p, w.proxies[name]), w.reloader[name]))
		}
		o.Episodes = []observe.Episode{episode(at, m, targets, observe.Replicas(base))}
		at = o.Episodes[0].To
		r.Planned = append(r.Planned, m.Name)
		r.Steps = append(r.Steps, Step{Name: m.Name, Observation: o, Checks: []reports.Check{
			{ID: scrapesID, Verdict: reports.Pass, Level: reports.Core}, {ID: "targets-up", Verdict: reports.Pass, Level: reports.Core},
		}})
	}
	return r
}

// targetsOf are the pods that have a proxy and are scraped.
func targetsOf(o observe.Observation) []string {
	return slices.DeleteFunc(observe.ExpectedPods(o), func(name string) bool {
		return !slices.ContainsFunc(o.Pods, func(p corev1.Pod) bool {
			_, ok := proxyVersion(&p)
			return ok && p.Namespace+"/"+p.Name == name
		})
	})
}

// withProxy is a pod whose sidecar, if it has one, is of a version.
func withProxy(p corev1.Pod, version string) corev1.Pod {
	p = *p.DeepCopy()
	for _, containers := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range containers {
			if containers[i].Name == "istio-proxy" {
				containers[i].Image = "registry.istio.io/release/proxyv2:" + version
			}
		}
	}
	return p
}

// withReloader is a pod whose reloader of the Operator, if it has one, is of a version.
func withReloader(p corev1.Pod, version string) corev1.Pod {
	p = *p.DeepCopy()
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == "config-reloader" {
			p.Spec.Containers[i].Image = "quay.io/prometheus-operator/prometheus-config-reloader:" + version
		}
	}
	return p
}

// episode is a step that took a second, and nine more of one scrape each.
func episode(from time.Time, m move, targets []string, replicas []corev1.Pod) observe.Episode {
	e := observe.Episode{
		Disruption: m.Step, Title: m.change.Title, From: from, To: from.Add(10 * time.Second), Recovered: true,
		Marks: []observe.Mark{{At: from, Step: disrupt.Begins}, {At: from.Add(time.Second), Step: disrupt.InEffect}, {At: from.Add(time.Second), Step: disrupt.Undone}},
	}
	for _, r := range replicas {
		u := observe.ReplicaUp{Pod: r.Name}
		for _, target := range targets {
			s := observe.Series{Labels: map[string]string{"namespace": filepath.Dir(target), "pod": filepath.Base(target)}}
			for second := range 9 {
				s.Points = append(s.Points, observe.Point{At: from.Add(time.Duration(second)*time.Second + 1500*time.Millisecond), Value: 1})
			}
			u.Series = append(u.Series, s)
		}
		e.Up = append(e.Up, u)
	}
	return e
}

// find is a step of a record.
func find(r *Record, stage Stage, step string) *Step {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == Name{stage, step} })
	return &r.Steps[i]
}

func TestUpgradesAreJudgedByTheirRecords(t *testing.T) {
	both, all := []Check{upgradeInPlace, upgradeCanary}, Catalogue()
	for name, c := range map[string]struct {
		of      []Check
		spoil   func(r *Record)
		verdict reports.Verdict
		says    string // part of the reason
	}{
		"everything went on": {of: all, spoil: func(*Record) {}, verdict: reports.Pass},
		"a scrape was lost": {
			of: all,
			spoil: func(r *Record) {
				s := find(r, Forward, "first-replica")
				s.Checks[0] = reports.Check{
					ID: scrapesID, Level: reports.Core, Verdict: reports.Fail, Reason: "prometheus-default-1 missed scrapes of default/productpage-v1-a",
					Causes: []reports.Cause{{Code: "target-overloaded"}},
				}
			},
			verdict: reports.Fail, says: "after the step forward, first-replica: no-scrape-missed: prometheus-default-1 missed",
		},
		"something is amiss before": {
			of: all,
			spoil: func(r *Record) {
				r.Steps[0].Checks[1].Verdict, r.Steps[0].Checks[1].Reason = reports.Fail, "a target is down"
			},
			verdict: reports.Fail, says: "before the upgrade: targets-up: a target is down",
		},
		"what does not gate is amiss": {
			of: both,
			spoil: func(r *Record) {
				r.Steps[1].Checks[1].Verdict, r.Steps[1].Checks[1].Level = reports.Fail, reports.Provisional
			},
			verdict: reports.Pass,
		},
		"something was not seen": {
			of:      both,
			spoil:   func(r *Record) { find(r, Back, "rest").Checks[1].Verdict = reports.Inconclusive },
			verdict: reports.Inconclusive, says: "after the step back, rest: targets-up",
		},
		"a replica stayed old": {
			of:      []Check{upgradePrometheus},
			spoil:   func(r *Record) { find(r, Forward, "second-replica").Observation.Replicas[1].Version = "3.12.0" },
			verdict: reports.Fail, says: "at the end of the way forward, prometheus-default-1 is of version 3.12.0, not of 3.16.0",
		},
		"a replica does not say its version": {
			of:      []Check{upgradePrometheus},
			spoil:   func(r *Record) { find(r, Back, "own-strategy").Observation.Replicas[0].Version = "" },
			verdict: reports.Inconclusive, says: "prometheus-default-0 did not say which version it is",
		},
		"no replica was seen": {
			of:      []Check{upgradePrometheus},
			spoil:   func(r *Record) { find(r, Forward, "second-replica").Observation.Replicas = nil },
			verdict: reports.Inconclusive, says: "no replica of Prometheus was seen",
		},
		"a version scraped nothing beside the other": {
			of: []Check{upgradePrometheus},
			spoil: func(r *Record) {
				e := &find(r, Back, "first-replica").Observation.Episodes[0]
				e.Up = slices.DeleteFunc(e.Up, func(u observe.ReplicaUp) bool { return u.Pod == "prometheus-default-1" })
			},
			verdict: reports.Inconclusive, says: "on the way back no scrape by a Prometheus of version 3.16.0 was seen",
		},
		"the way back of Prometheus was not tried": {
			of:      []Check{upgradePrometheus},
			spoil:   func(r *Record) { r.Steps = slices.DeleteFunc(r.Steps, func(s Step) bool { return s.Stage == Back }) },
			verdict: reports.Inconclusive, says: "the step back, object was not tried",
		},
		"the Operator stayed old": {
			of: []Check{upgradeOperator},
			spoil: func(r *Record) {
				find(r, Forward, "second-replica").Observation.Versions.Operator = "v0.91.0"
			},
			verdict: reports.Fail, says: "at the end of the way forward, the Operator is of version v0.91.0, not of v0.92.0",
		},
		"no Operator was seen": {
			of:      []Check{upgradeOperator},
			spoil:   func(r *Record) { find(r, Back, "own-strategy").Observation.Versions.Operator = "" },
			verdict: reports.Inconclusive, says: "at the end of the way back no Operator was seen",
		},
		"a reloader stayed old": {
			of: []Check{upgradeOperator},
			spoil: func(r *Record) {
				pods := find(r, Forward, "second-replica").Observation.Pods
				for i := range pods {
					if pods[i].Name == "prometheus-default-1" {
						pods[i] = withReloader(pods[i], "v0.91.0")
					}
				}
			},
			verdict: reports.Fail, says: "the reloader of prometheus-default-1 is of version v0.91.0, not of v0.92.0",
		},
		"a reloader scraped nothing beside the other": {
			of: []Check{upgradeOperator},
			spoil: func(r *Record) {
				e := &find(r, Forward, "first-replica").Observation.Episodes[0]
				e.Up = slices.DeleteFunc(e.Up, func(u observe.ReplicaUp) bool { return u.Pod == "prometheus-default-0" })
			},
			verdict: reports.Inconclusive, says: "on the way forward no scrape by a Prometheus with the reloader v0.92.0 was seen",
		},
		"a step could not be made": {
			of:      both,
			spoil:   func(r *Record) { find(r, Forward, "rest").Observation.Episodes[0].Error = "timed out" },
			verdict: reports.Fail, says: "the step forward, rest could not be carried out: timed out",
		},
		"the way back was not tried": {
			of:      both,
			spoil:   func(r *Record) { r.Steps = slices.DeleteFunc(r.Steps, func(s Step) bool { return s.Stage == Back }) },
			verdict: reports.Inconclusive, says: "the step back, first-target was not tried",
		},
		"no step was tried": {
			of: both, spoil: func(r *Record) { r.Steps = nil }, verdict: reports.Inconclusive, says: "the step before was not tried",
		},
		"a pair was never seen": {
			of: both,
			spoil: func(r *Record) {
				for i := range r.Steps { // whoever scrapes with a new proxy scrapes no old one
					s := &r.Steps[i]
					e := &s.Observation.Episodes[0]
					for u := range e.Up {
						prometheus, _ := proxyVersion(observe.FindPod(s.Observation, "default", e.Up[u].Pod))
						e.Up[u].Series = slices.DeleteFunc(e.Up[u].Series, func(x observe.Series) bool {
							target, _ := proxyVersion(observe.FindPod(s.Observation, x.Labels["namespace"], x.Labels["pod"]))
							return prometheus == newer && target == older
						})
					}
				}
			},
			verdict: reports.Inconclusive, says: "on the way forward no scrape was seen where a Prometheus with the proxy 1.31.0 scrapes a target with the proxy 1.30.4",
		},
		"scrapes of a pair failed": {
			of: both,
			spoil: func(r *Record) {
				for _, s := range r.Steps {
					if s.Stage != Back {
						continue
					}
					for _, u := range s.episode().Up {
						for _, x := range u.Series {
							for i := range x.Points {
								x.Points[i].Value = 0
							}
						}
					}
				}
			},
			verdict: reports.Inconclusive, says: "on the way back no scrape was seen",
		},
		"a proxy stayed old": {
			of: both,
			spoil: func(r *Record) {
				pods := find(r, Forward, "rest").Observation.Pods
				for i := range pods {
					if pods[i].Name == "prometheus-default-1" {
						pods[i] = withProxy(pods[i], older)
					}
				}
			},
			verdict: reports.Fail, says: "at the end of the way forward, not every proxy is of Istio 1.31.0: default/prometheus-default-1 has 1.30.4",
		},
		"the control plane stayed old": {
			of: []Check{upgradeInPlace},
			spoil: func(r *Record) {
				find(r, Forward, "rest").Observation.Mesh.ControlPlanes = []observe.ControlPlane{{Name: "istio-system/istiod", Version: older}}
			},
			verdict: reports.Fail, says: "at the end of the way forward, the control plane istio-system/istiod is of Istio 1.30.4, not of 1.31.0",
		},
		"the old control plane is still there": {
			of: []Check{upgradeCanary},
			spoil: func(r *Record) {
				o := &find(r, Final, "old-control-plane").Observation
				o.Mesh.ControlPlanes = append([]observe.ControlPlane{{Name: "istio-system/istiod", Version: older}}, o.Mesh.ControlPlanes...)
			},
			verdict: reports.Fail, says: "at the end of the way final, the control plane istio-system/istiod is of Istio 1.30.4",
		},
		"no control plane was seen": {
			of: both,
			spoil: func(r *Record) {
				for i := range r.Steps {
					r.Steps[i].Observation.Mesh.ControlPlanes = nil
				}
			},
			verdict: reports.Inconclusive, says: "no control plane was seen",
		},
	} {
		for _, check := range c.of {
			t.Run(name+"/"+check.ID, func(t *testing.T) {
				r := good(t, check.ID)
				c.spoil(&r)
				result := check.Judge(r)
				assert.Equal(t, c.verdict, result.Verdict, result.Reason)
				assert.Contains(t, result.Reason, c.says)
				if c.verdict == reports.Pass {
					assert.NotEmpty(t, result.Evidence)
				}
			})
		}
	}
}

func TestACauseIsToldOnce(t *testing.T) {
	r := good(t, upgradeInPlace.ID)
	for i := range r.Steps {
		r.Steps[i].Checks[1] = reports.Check{ID: "targets-up", Level: reports.Core, Verdict: reports.Fail, Causes: []reports.Cause{{Code: "injector-missing"}}}
	}
	assert.Equal(t, []reports.Cause{{Code: "injector-missing"}}, upgradeInPlace.Judge(r).Causes)
}

// Every pair must come about by the order of the steps alone, each way.
func TestTheStepsBringEveryPairAbout(t *testing.T) {
	r := good(t, upgradeInPlace.ID)
	seen := find(&r, Forward, "first-replica").pairs()
	for _, p := range r.allPairs() {
		assert.NotZero(t, seen[p], p.String())
	}
}

func TestAnUpgradeGoesOnOnlyWhileAllIsWell(t *testing.T) {
	whole := good(t, upgradeInPlace.ID)
	until := func(stage Stage, step string) Record {
		r := whole
		i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Name == Name{stage, step} })
		r.Steps = slices.Clone(r.Steps[:i+1])
		return r
	}
	spoilt := func(r Record) Record {
		last := &r.Steps[len(r.Steps)-1]
		last.Checks = []reports.Check{{ID: "targets-up", Level: reports.Core, Verdict: reports.Fail}}
		return r
	}
	stages := []Stage{Before, Forward, Back, Final}
	otherwise := until(Before, "before")
	otherwise.From, otherwise.To = "1.29.0", older
	for name, c := range map[string]struct {
		record Record
		then   []Stage
	}{
		"nothing was done yet":        {Record{}, stages},
		"all is well before":          {until(Before, "before"), stages},
		"something is amiss before":   {spoilt(until(Before, "before")), nil},
		"the mesh is another version": {otherwise, nil},
		"all is well on the way":      {until(Forward, "first-target"), stages},
		"something broke on the way":  {spoilt(until(Forward, "first-target")), []Stage{Back}},
		"something broke on the way back too": {
			spoilt(until(Back, "first-target")), []Stage{Back},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var then []Stage
			for _, s := range stages {
				if goesOn(c.record, s) {
					then = append(then, s)
				}
			}
			assert.Equal(t, c.then, then)
		})
	}
}

// A step of the real stack passes by the checks that are there, with its bound told.
func TestAStepIsJudgedByTheChecksOfTheSubject(t *testing.T) {
	o := recorded.Load(recorded.Good)
	i := slices.IndexFunc(o.Episodes, func(e observe.Episode) bool { return e.Disruption == conformance.WorkloadRollout })
	o.Episodes = o.Episodes[i : i+1]
	results := judge(conformance.WorkloadRollout, o)
	var judged []string
	for _, c := range results {
		assert.Contains(t, []reports.Verdict{reports.Pass, reports.Skip}, c.Verdict, c.ID+": "+c.Reason)
		judged = append(judged, c.ID)
	}
	for _, id := range []string{scrapesID, "certificates-mounted", "targets-up", "plaintext-refused", "target-certificate-rotated"} {
		assert.Contains(t, judged, id)
	}
	assert.NotContains(t, judged, "root-rotated", "it changes something")
	assert.Contains(t, scrapesText(Step{Checks: results}), "Bound: targets: old pods")
	o.Watch = nil
	for _, c := range judge(conformance.WorkloadRollout, o) {
		assert.NotEqual(t, conformance.ProfileRotation, c.Profile, "nobody watched")
	}
}

// While the replicas are made anew one by one they differ, and nothing else may.
func TestReplicasMayDifferWhereTheyMust(t *testing.T) {
	verdict := func(step string, spoil func(*observe.Observation)) reports.Verdict {
		r := good(t, upgradeInPlace.ID)
		o := find(&r, Forward, firstReplica).Observation
		spoil(&o)
		results := judge(step, o)
		return results[slices.IndexFunc(results, func(c reports.Check) bool { return c.ID == sameProxiesID })].Verdict
	}
	nothing := func(*observe.Observation) {}
	assert.Equal(t, reports.Skip, verdict(firstReplica, nothing))
	assert.Equal(t, reports.Fail, verdict("rest", nothing), "in the end they must not")
	assert.Equal(t, reports.Fail, verdict(firstReplica, func(o *observe.Observation) {
		for i := range o.Pods {
			if o.Pods[i].Name == "prometheus-default-0" {
				o.Pods[i].Spec.InitContainers = nil
			}
		}
	}), "one has no sidecar")
}

func TestTheTimelineHasEveryStep(t *testing.T) {
	r := good(t, upgradeCanary.ID)
	var begun []string
	for _, e := range timeline(r) {
		if e.Kind == reports.DisruptionStart {
			begun = append(begun, e.Subject)
		}
	}
	var names []string
	for _, n := range r.Planned {
		names = append(names, n.String())
	}
	assert.Equal(t, names, begun)
	lanes := map[string]reports.Track{}
	for _, track := range tracks(r) {
		assert.NotContains(t, lanes, track.Subject)
		lanes[track.Subject] = track
	}
	for _, n := range names {
		require.Contains(t, lanes, n)
	}
}

func TestAMissedScrapeWithinTheBoundIsExcusedByTheUpgrade(t *testing.T) {
	r := good(t, upgradeInPlace.ID)
	e := &find(&r, Forward, "first-replica").Observation.Episodes[0]
	e.Pods = []observe.EpisodePod{{Name: "default/prometheus-default-0", UID: "new", After: true}}
	for u := range e.Up {
		e.Up[u].Series[0].Points[0].Value = 0
	}
	excused := map[string]string{}
	for _, track := range tracks(r) {
		for _, p := range track.Points {
			if !p.OK {
				excused[track.Subject[:len("prometheus-default-0")]] = p.ExcusedBy
			}
		}
	}
	assert.Equal(t, map[string]string{"prometheus-default-0": upgradeInPlace.ID, "prometheus-default-1": ""}, excused)
}

func TestAKeptRecordIsJudgedAgain(t *testing.T) {
	r := good(t, upgradeInPlace.ID)
	file := filepath.Join(t.TempDir(), "observations", "upgrade-in-place.json")
	require.NoError(t, r.write(file))
	again, err := read(file)
	require.NoError(t, err)
	require.Len(t, again.Steps, len(r.Steps))
	assert.Equal(t, r.Planned, again.Planned)
	for i, s := range again.Steps {
		assert.Equal(t, r.Steps[i].pairs(), s.pairs())
		assert.NotEmpty(t, s.Checks, "they are made anew")
	}
	_, err = read(filepath.Join(t.TempDir(), "absent.json"))
	assert.ErrorContains(t, err, "reading the record of an upgrade")
}
