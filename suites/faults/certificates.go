package faults

import (
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

// tamper is a container that does something to the files of the sidecar, as its
// user, whose files they are.
func tamper(name, command string) map[string]any {
	return map[string]any{
		"name": name, "image": image.Find("bookinfo-productpage-v1").Reference, // it has a shell, wherever it comes from
		"imagePullPolicy": "IfNotPresent",
		"command":         []string{"sh", "-c", command},
		"volumeMounts":    []map[string]any{{"name": "istio-certs", "mountPath": "/certs"}},
		"securityContext": map[string]any{"runAsUser": 1337, "runAsGroup": 1337},
	}
}

// before does it when the files are written and Prometheus has not started.
func before(command string) Change {
	return ofPrometheus([]any{tamper("tamper", command)}, "spec", "initContainers")
}

// fromOwnFolder has the monitor name files in the Secret.
func fromOwnFolder() []Change {
	return []Change{
		ofEndpoint(ownFolder+"root-cert.pem", "tlsConfig", "caFile"),
		ofEndpoint(ownFolder+"cert-chain.pem", "tlsConfig", "certFile"),
		ofEndpoint(ownFolder+"key.pem", "tlsConfig", "keyFile"),
	}
}

const ownIdentity = "spiffe://cluster.local/ns/" + own + "/sa/prometheus-full-access"

// certificateFaults are about the files that Prometheus reads, and whose certificate
// is in them.
func certificateFaults() []Fault {
	foreign := effect{red: with([]string{certificateOwn}, answered.red...), unclear: cutOff.unclear}
	unreadable := effect{red: with([]string{certificatesMounted}, noJob.red...), unclear: noJob.unclear}
	return []Fault{
		{
			ID: "ca-path-typo", Title: "The monitor names the root's file with a typing error", Why: "field report 4",
			Change: []Change{ofEndpoint("/etc/prom-cert/root-cert.pem", "tlsConfig", "caFile")},
			Red:    noFiles.red, Unclear: noFiles.unclear, Cause: "certificate-path-elsewhere",
		},
		{
			ID: "ca-moved-later", Title: "The monitor of a job that runs is given a file that there is none of", Why: "facts 3.2: the old job goes on, the change is refused",
			Later: []Change{ofEndpoint("/etc/prom-certs/ca/root-cert.pem", "tlsConfig", "caFile")},
			Red:   []string{certificatesMounted, targetsComplete}, Unclear: []string{certificateOwn, mutualTLS}, Cause: "certificate-path-elsewhere",
		},
		{
			ID: "key-and-certificate-swapped", Title: "The monitor has certificate and key the wrong way round", Why: "field report 4",
			Change: []Change{
				ofEndpoint("/etc/prom-certs/key.pem", "tlsConfig", "certFile"),
				ofEndpoint("/etc/prom-certs/cert-chain.pem", "tlsConfig", "keyFile"),
			},
			Red: noFiles.red, Unclear: noFiles.unclear, Cause: "certificate-files-swapped",
		},
		{
			ID: "key-unreadable", Title: "The user of Prometheus may not read the key", Why: "field report 1",
			Change: []Change{before("chmod 600 /certs/key.pem")},
			Red:    unreadable.red, Unclear: unreadable.unclear, Cause: "certificate-file-unreadable",
		},
		{
			ID: "root-removed", Title: "Somebody removes the root's file", Why: "field report 4",
			Change: []Change{before("rm /certs/root-cert.pem")},
			Red:    noFiles.red, Unclear: noFiles.unclear, Cause: "certificate-file-missing",
		},
		{
			ID: "root-emptied", Title: "The root's file is empty", Why: "field report 4",
			Change: []Change{before(": > /certs/root-cert.pem")},
			Red:    noFiles.red, Unclear: noFiles.unclear, Cause: "certificate-file-invalid",
		},
		{
			ID: "key-emptied", Title: "The key's file is empty", Why: "field report 4",
			Change: []Change{before(": > /certs/key.pem")},
			Red:    unreadable.red, Unclear: unreadable.unclear, Cause: "certificate-file-invalid",
		},
		{
			ID: "key-from-secret", Title: "The certificate is the sidecar's, the key is from a Secret", Why: "field report 4: certificates by hand, half replaced",
			Change: []Change{byHand(ownIdentity), ofEndpoint(ownFolder+"key.pem", "tlsConfig", "keyFile")},
			Red:    noJob.red, Unclear: noJob.unclear, Cause: "certificate-key-mismatch",
		},
		{
			// The sidecar of a pod without native sidecars may be as late; here it is late
			// for certain, and everything else is quiet by then.
			ID: "certificates-late", Title: "The root's file comes when Prometheus has given up on it", Why: "facts 1.5 and 3.2: nothing but a change of the endpoints makes it try again",
			Change: []Change{
				before("mv /certs/root-cert.pem /certs/.root"),
				ofPrometheus([]any{tamper("late", `trap "exit 0" TERM; sleep 20 & wait; mv /certs/.root /certs/root-cert.pem; sleep 3600 & wait`)}, "spec", "containers"),
			},
			Age: 30 * time.Second,
			Red: noJob.red, Unclear: noJob.unclear, Cause: "pools-made-before-files",
		},
		{
			ID: "kubernetes-ca", Title: "The monitor names the CA of Kubernetes, not that of the mesh", Why: "field report 4: with verification off any CA will do, until it matters",
			Change: []Change{ofEndpoint("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", "tlsConfig", "caFile")},
			Red:    []string{certificateOwn}, Cause: "chain-incomplete",
		},
		{
			ID: "foreign-certificate", Title: "The certificate has the right name and comes from another CA", Why: "field report 38",
			Change: append([]Change{byHand(ownIdentity)}, fromOwnFolder()...),
			Red:    foreign.red, Unclear: foreign.unclear, Cause: "roots-differ",
		},
		{
			ID: "foreign-name", Title: "The certificate is for another workload", Why: "field report 38: files copied from elsewhere",
			Change: append([]Change{byHand("spiffe://cluster.local/ns/" + own + "/sa/somebody-else")}, fromOwnFolder()...),
			Red:    foreign.red, Unclear: foreign.unclear, Cause: "certificate-not-own",
		},
	}
}
