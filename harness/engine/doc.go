// Package engine finds the container engine that a local cluster runs on and, on
// a bare Debian or Ubuntu host where it is root and was allowed to, installs and
// starts one.
//
// It never touches an engine that answers, never changes a Docker configuration
// that it did not write, never removes a package, and never leaves a daemon
// running that it started and could not reach. It asks no registry for anything
// but the distribution's own packages.
//
// Read [Engine] first; [Find] makes one.
package engine
