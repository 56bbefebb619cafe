package faults

// Unprovoked are the causes that no fault can bring about on a cluster of ours, with
// the reason. They are shown at work on made-up observations only, by the tests of
// the diagnosis.
var Unprovoked = map[string]string{
	"ca-file-omitted":                  "only Prometheus 3.0 to 3.12 has it, and the images have one version",
	"prometheus-keeps-old-certificate": "only Prometheus before 2.40 has it, and the images have one version",
	"prometheus-too-old":               "only Prometheus before 2.31 has it, and the images have one version",
	"certificate-not-yet-valid":        "it takes two clocks that differ by more than the two minutes that istiod dates back, and a cluster of ours has one",
	"pool-not-made":                    "it is for images without a shell: here the files can be looked at, and what is wrong with them is the better cause",
	"root-replaced":                    "it takes a control plane with another CA, which `make upgrade MISTAKE=other-root` makes: a fault has its namespace, not the mesh",
	"outage-outlasted-certificate":     "it takes an outage that ends: a fault lasts while it is judged, and istiod-away-too-long then has control-plane-down as its cause",
	"output-is-input":                  "Istio 1.31 does not read the directory that it writes to again before its agent starts anew, and then that the certificate has ended is seen first",
}

// Unfaulted are the checks that no fault here turns red, with the reason.
var Unfaulted = map[string]string{
	"past-rotations-survived":  "it judges what a Prometheus stored in the day before: a fault's stands for a minute. Its test spoils what was stored",
	"rotation-without-ca-file": "it compares a second monitor with what is known of the version of Prometheus, and the images have one version, which behaves as known",
	"root-rotated":             "its fault is a root that is replaced at once; the mesh would be left with a signer that nobody trusts, and the way back needs the CA's private key, which is never read",

	"operator-restart-survived":     "it needs a disruption: a change of the set-up misses no scrape by itself",
	"sidecar-restart-survived":      "it needs a disruption: a change of the set-up misses no scrape by itself",
	"control-plane-outage-survived": "it needs a disruption: istiod-away-too-long shows what the same outage does when it lasts",
	"workload-rollout-survived":     "it needs a disruption: a change of the set-up misses no scrape by itself",
	"prometheus-restart-survived":   "it needs a disruption: a change of the set-up misses no scrape by itself",
}
