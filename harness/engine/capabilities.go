package engine

import "github.com/seed-140c7b37/mtls-scrape-conformance/harness/engine/capability"

// HostCapabilities returns the capabilities that the kernel knows and this host
// does not hold, in the order of their numbers: those outside the bounding set
// of this process, which no child of it can ever get back. It is empty on a
// whole machine and on anything but Linux.
func HostCapabilities() (missing []string, err error) { return capability.Missing() }

// FilterCapabilities returns an OCI runtime specification, or a process object
// alone, without the missing capabilities in any of its five sets. Everything
// else survives as it was; when there is nothing to remove, spec itself is
// returned.
func FilterCapabilities(spec []byte, missing []string) ([]byte, error) {
	return capability.Filter(spec, missing)
}
