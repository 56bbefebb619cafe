// Package capability knows which Linux capabilities a host does not hold and
// takes them out of OCI runtime specifications.
//
// It never changes the capabilities of a process. It imports the standard
// library only, because its source is embedded by the engine package and
// compiled once more, into the OCI runtime wrapper cappedrunc.
//
// Read [Missing] first, then [Filter].
package capability

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// names is the capability table of the kernel, include/uapi/linux/capability.h,
// by bit. The last entry came with Linux 5.9.
var names = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
	"CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
}

// maxBit is the highest bit that the kernel's 64-bit sets can have.
const maxBit = 63

// Name gives the name of a capability by its bit. One that is newer than the
// table is named by its number, CAP_41; no specification uses such a name, so
// nothing is ever removed for it.
func Name(bit int) string {
	if bit >= 0 && bit < len(names) {
		return names[bit]
	}
	return fmt.Sprintf("CAP_%d", bit)
}

// Missing returns the capabilities outside the bounding set of this process, in
// the order of their bits. It is empty on anything but Linux.
func Missing() ([]string, error) {
	if runtime.GOOS != "linux" {
		return nil, nil
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return nil, err
	}
	return Parse(string(status), string(last))
}

// Parse is [Missing] on the text of /proc/self/status and of
// /proc/sys/kernel/cap_last_cap, the highest bit that the kernel knows.
func Parse(status, lastCap string) ([]string, error) {
	last, err := strconv.Atoi(strings.TrimSpace(lastCap))
	if err != nil || last < 0 || last > maxBit {
		return nil, fmt.Errorf("/proc/sys/kernel/cap_last_cap holds %q, want a number from 0 to %d", strings.TrimSpace(lastCap), maxBit)
	}
	for _, line := range strings.Split(status, "\n") {
		value, found := strings.CutPrefix(line, "CapBnd:")
		if !found {
			continue
		}
		held, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("/proc/self/status has CapBnd %q, want 16 hexadecimal digits", strings.TrimSpace(value))
		}
		var missing []string
		for bit := 0; bit <= last; bit++ {
			if held&(1<<bit) == 0 {
				missing = append(missing, Name(bit))
			}
		}
		return missing, nil
	}
	return nil, fmt.Errorf("/proc/self/status has no CapBnd line")
}
