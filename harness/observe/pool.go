package observe

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
)

// pool is the targets of one job while they are worked out: what is discovered for
// it, less what its rules drop, each once for each shard, as in Prometheus'
// scrape pools.
type pool struct {
	*discovery
	job      scrapeJob
	defaults layer // the labels that every target starts with

	// The rules in their order: those that select whole groups, those that are the
	// same for every shard, and from the first that is not, the rest for each shard.
	selection relabeling
	same      relabeling
	shards    []relabeling

	members  map[string][]member // by shard and URL
	expected []Expected
}

// member is a target that a shard has, and where it came from.
type member struct {
	*place
	group int
	pod   *corev1.Pod
}

// targets works out the targets of a job, or says why it cannot.
func (d *discovery) targets(j scrapeJob) ([]Expected, error) {
	if j.open != "" {
		return nil, errors.New(j.open)
	}
	p := pool{discovery: d, job: j, defaults: j.defaults(d.o), members: map[string][]member{}}
	if err := p.compile(); err != nil {
		return nil, err
	}
	groups := j.static
	for _, q := range j.queries {
		more, err := d.groups(q)
		if err != nil {
			return nil, err
		}
		groups = append(groups, more...)
	}
	for i, g := range groups {
		if err := p.addGroup(i, g); err != nil {
			return nil, err
		}
	}
	return p.expected, nil
}

// compile makes the rules ready.
func (p *pool) compile() (err error) {
	names := model.UTF8Validation
	if p.job.legacy || !p.release.since(3, 0) {
		names = model.LegacyValidation
	}
	rules, apart := p.job.rules, slices.IndexFunc(p.job.rules, namedRule.dependsOnShard)
	if apart < 0 {
		apart = len(rules)
	}
	if p.selection, err = compile(p.job.selection, names, ""); err != nil {
		return err
	}
	if p.same, err = compile(rules[:apart], names, ""); err != nil {
		return err
	}
	p.shards = make([]relabeling, shards(p.o))
	for i := range p.shards {
		if p.shards[i], err = compile(rules[apart:], names, strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// addGroup adds the targets of a group. The rules that select read nothing but the
// labels that all of them have.
func (p *pool) addGroup(i int, g group) error {
	set := labelSet{layers: g.layers, defaults: p.defaults, lacks: g.lacks}
	if keep, err := p.selection.apply(&set); err != nil || !keep {
		return err
	}
	return g.targets(func(c candidate) error {
		set := labelSet{layers: slices.Concat(c.layers, g.layers), defaults: p.defaults, lacks: slices.Concat(c.lacks, g.lacks)}
		keep, err := p.same.apply(&set)
		if err != nil || !keep {
			return err
		}
		places := make([]*place, len(p.shards)) // where each shard scrapes it, if it does
		for shard := range p.shards {
			if places[shard], err = p.scrapes(shard, set.clone(), member{group: i, pod: c.pod}); err != nil {
				return err
			}
		}
		p.expect(c, places)
		return nil
	})
}

// scrapes is where a shard scrapes a target, or nil if it does not, or has it
// already.
func (p *pool) scrapes(shard int, set *labelSet, m member) (*place, error) {
	keep, err := p.shards[shard].apply(set)
	if err != nil || !keep {
		return nil, err
	}
	if m.place, err = p.job.place(set, p.release); err != nil || m.place == nil {
		return nil, err
	}
	m.labels = m.labels.kept() // for each target is remembered, until all are worked out
	key := strconv.Itoa(shard) + " " + m.url
	for _, x := range p.members[key] {
		same, err := m.equals(x.place, m.pod != nil && m.pod == x.pod && m.group == x.group)
		if same || err != nil {
			return nil, err
		}
	}
	p.members[key] = append(p.members[key], m)
	return m.place, nil
}

// expect makes expected targets of a candidate: one if every shard scrapes it at
// the same place, else one for each shard that does.
func (p *pool) expect(c candidate, places []*place) {
	every := !slices.ContainsFunc(places, func(x *place) bool { return x == nil || places[0] == nil || x.url != places[0].url })
	if every {
		p.expected = append(p.expected, p.target(c, places[0]))
		return
	}
	for shard, x := range places {
		if x != nil {
			t := p.target(c, x)
			t.Shard = strconv.Itoa(shard)
			p.expected = append(p.expected, t)
		}
	}
}

// target says what is at a place. Rules may have sent the scrape elsewhere than to
// where the candidate was found, and what is written down may be a pod's address.
func (p *pool) target(c candidate, at *place) Expected {
	x := Expected{Pool: p.job.pool, URL: at.url, Address: at.address, Path: at.path, Scheme: at.scheme}
	foundHost, foundPort := hostPort(c.layers[0][addressLabel].text, at.scheme)
	host, port := hostPort(at.address, at.scheme)
	x.Port = port
	moved := host != foundHost || c.podName == "" && c.service == nil // or was never found
	if moved {
		c = candidate{pod: p.podAt(host)}
		if c.pod != nil {
			c.namespace, c.podName = c.pod.Namespace, c.pod.Name
		}
	}
	x.Namespace, x.Pod, x.Container = c.namespace, c.podName, c.container
	if c.service != nil {
		x.Service = c.service.Name
	}
	if c.pod != nil && (moved || port != foundPort) {
		x.Container = declaring(c.pod, port)
	}
	return x
}

// hostPort takes an address apart. The port that it lacks is that of the scheme.
func hostPort(address, scheme string) (host, port string) {
	if host, port, err := net.SplitHostPort(address); err == nil {
		return host, port
	}
	return strings.Trim(address, "[]"), schemePort(scheme)
}

// declaring is the container of a pod that declares a port, if any does.
func declaring(pod *corev1.Pod, port string) string {
	for c := range containers(pod) {
		for _, p := range c.Ports {
			if strconv.Itoa(int(p.ContainerPort)) == port {
				return c.Name
			}
		}
	}
	return ""
}
