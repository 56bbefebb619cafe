package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// configFlag is dockerd's option that names its configuration.
const configFlag = "--config-file"

// daemonPID returns the process id in the pid file if that process is the
// dockerd that runs on this state folder's configuration, else 0. proc is where
// the process file system is mounted.
func daemonPID(proc string, s state) int {
	text, err := os.ReadFile(s.pidFile())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 || !isDaemon(commandLine(proc, pid), s) {
		return 0
	}
	return pid
}

// isDaemon tells our dockerd from any other process that got its number since.
func isDaemon(args []string, s state) bool {
	if len(args) == 0 || filepath.Base(args[0]) != "dockerd" {
		return false
	}
	at := slices.Index(args, configFlag)
	return at > 0 && at+1 < len(args) && args[at+1] == s.config()
}

// commandLine is empty for a process that is gone, a zombie included.
func commandLine(proc string, pid int) []string {
	text, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// unresponsive returns an error if a dockerd runs here that did not answer. A
// second one on the same folders would damage what the first one holds.
func unresponsive(proc string) error {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return err
	}
	// Daemons inside containers are none of this host's business: they are seen
	// here, but live in another pid namespace.
	own, _ := os.Readlink(filepath.Join(proc, "self", "ns", "pid"))
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		args := commandLine(proc, pid)
		if len(args) == 0 || filepath.Base(args[0]) != "dockerd" {
			continue
		}
		if ns, _ := os.Readlink(filepath.Join(proc, entry.Name(), "ns", "pid")); ns == own {
			return fmt.Errorf("dockerd is running (pid %d, `%s`) but does not answer: see its log, end or repair it, and run again", pid, strings.Join(args, " "))
		}
	}
	return nil
}
