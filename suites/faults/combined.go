package faults

import "slices"

// pairs are two faults at once. Both must be named: who repairs only what is named
// would be back the next day.
var pairs = [][2]string{
	{"label-as-annotation", "ca-path-typo"},
	{"label-as-annotation", "output-certs-missing"},
	{"namespace-permissive", "policy-other-principal"},
	{"policy-other-principal", "no-skip-verify"},
	{"policy-deny-all", "port-named-metrics"},
	{"file-access-denied", "endpointslices-forbidden"},
	{"output-certs-missing", "no-client-certificate"},
	{"no-skip-verify", "namespace-permissive"},
	{"key-unreadable", "binding-missing"},
	{"target-not-injected", "no-skip-verify"},
	{"outbound-captured", "path-wrong"},
	{"prometheus-paused", "label-not-selected"},
	{"volume-missing", "binding-missing"},
	{"quota-without-requests", "port-named-metrics"},
	{"scrape-class-missing", "scheme-http"},
}

// combinations makes one fault of each pair. Which checks turn red is not foretold:
// what one fault breaks may hide what the other does.
func combinations() []Fault {
	singles := Singles()
	single := func(id string) Fault {
		i := slices.IndexFunc(singles, func(f Fault) bool { return f.ID == id })
		if i < 0 {
			panic("there is no fault " + id + " to combine") // the IDs are literals in this file
		}
		return singles[i]
	}
	var all []Fault
	for _, p := range pairs {
		a, b := single(p[0]), single(p[1])
		all = append(all, Fault{
			ID: a.ID + "-and-" + b.ID, Title: a.Title + "; " + b.Title, Layer: a.Layer + ", " + b.Layer, Why: "two at once",
			Change: slices.Concat(a.Change, b.Change), Unready: a.Unready || b.Unready,
			named: []string{a.Cause, b.Cause},
		})
	}
	return all
}
