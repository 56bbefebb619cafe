package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

// TestMain lets this test binary, called under the name dockerd, stand in for
// the daemon: what it does is in the file mode beside its configuration.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "dockerd" {
		os.Exit(fakeDockerd())
	}
	os.Exit(m.Run())
}

func fakeDockerd() int {
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		fmt.Println(err)
		return 90
	}
	var c daemonConfig
	if err := json.Unmarshal(text, &c); err != nil {
		fmt.Println(err)
		return 91
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mode, _ := os.ReadFile(filepath.Join(filepath.Dir(os.Args[2]), "mode"))
	fmt.Println("fake dockerd in mode", string(mode))
	if string(mode) == "die" {
		fmt.Println("failed to start daemon: Devices cgroup isn't mounted")
		return 1
	}
	if err := os.WriteFile(c.PidFile, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		fmt.Println(err)
		return 92
	}
	select { // never longer than a test, should the test be killed
	case <-ctx.Done():
	case <-time.After(time.Minute):
	}
	_ = os.Remove(c.PidFile)
	return 0
}

// fakeDaemon gives a state folder and a runner that finds the stand-in and lets
// the client answer once the pid file is there.
func fakeDaemon(t *testing.T, mode string) (state, *fakeRunner) {
	s := state{t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "mode"), []byte(mode), 0o644))
	self, err := os.Executable()
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "dockerd")
	require.NoError(t, os.Symlink(self, binary))
	run := &fakeRunner{
		programs: []string{"docker", binary},
		answers:  map[string]string{"docker -v": "Docker version 28.2.2"},
		errors:   map[string]string{askDocker: "Cannot connect"},
	}
	run.then = func(command) {
		if exists(s.pidFile()) && mode == "answer" {
			delete(run.errors, askDocker)
			run.answers[askDocker] = "20.10.24"
		}
	}
	t.Cleanup(func() { // whatever the test did, nothing stays
		assert.NoError(t, Stop(context.Background(), s.dir))
	})
	return s, run
}

func TestDaemonStartsAndStops(t *testing.T) {
	s, run := fakeDaemon(t, "answer")
	e, err := startDaemon(t.Context(), run, Options{}, s, nil)
	require.NoError(t, err)
	assert.Equal(t, "docker 20.10.24", e.Provider+" "+e.Version)
	pid := daemonPID("/proc", s)
	require.NotZero(t, pid)
	session, err := getsid(pid)
	require.NoError(t, err)
	assert.Equal(t, pid, session, "in a session of its own")
	assert.Zero(t, daemonPID("/proc", state{t.TempDir()}), "another folder's daemon is not ours")

	require.NoError(t, Stop(t.Context(), s.dir))
	assert.Zero(t, daemonPID("/proc", s))
	assert.NoFileExists(t, s.pidFile())
	assert.NoError(t, Stop(t.Context(), s.dir), "nothing to end is no error")
}

// getsid reads a process' session from field 6 of /proc/PID/stat; the name, field
// 2, has no blank in it here.
func getsid(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	var name, status string
	var id, parent, group, session int
	_, err = fmt.Sscan(string(text), &id, &name, &status, &parent, &group, &session)
	return session, err
}

func TestDaemonThatDiesShowsItsLog(t *testing.T) {
	s, run := fakeDaemon(t, "die")
	_, err := startDaemon(t.Context(), run, Options{}, s, nil)
	require.Error(t, err)
	assert.ErrorContains(t, err, "exited with code 1")
	assert.ErrorContains(t, err, s.log()+":\nfake dockerd in mode die\nfailed to start daemon: Devices cgroup isn't mounted")
}

func TestDaemonThatDoesNotAnswerIsEnded(t *testing.T) {
	s, run := fakeDaemon(t, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	pid := 0
	run.then = func(command) { // Ctrl-C once it is there
		if pid = daemonPID("/proc", s); pid != 0 {
			cancel()
		}
	}
	_, err := startDaemon(ctx, run, Options{}, s, nil)
	require.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "Cannot connect")
	assert.ErrorContains(t, err, "fake dockerd in mode hang")
	require.NotZero(t, pid)
	assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "it is gone, and no zombie")
	assert.NoFileExists(t, s.pidFile())
}

// provisionHost is a host without systemd whose process table is empty.
func provisionHost(t *testing.T, run runner) host {
	h := testHost(run, nil)
	h.base = t.TempDir()
	require.NoError(t, os.MkdirAll(h.path("/proc"), 0o755))
	return h
}

func TestProvision(t *testing.T) {
	s, run := fakeDaemon(t, "answer")
	run.programs = append(run.programs, "iptables")
	h := provisionHost(t, run)
	e, err := provision(t.Context(), h, Options{StateDir: s.dir}, nil)
	require.NoError(t, err)
	assert.True(t, e.Started)
	assert.False(t, e.Installed)

	e, err = provision(t.Context(), h, Options{StateDir: s.dir}, nil)
	require.NoError(t, err)
	assert.False(t, e.Started, "whoever had the lock before did it")
}

func TestProvisionWaitsForAnEarlierRunsDaemon(t *testing.T) {
	s, run := fakeDaemon(t, "answer")
	h := provisionHost(t, run)
	h.base = "" // the real process table
	config, err := renderConfig(s, "")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.config(), config, 0o644))
	d, err := launch(run.programs[1], s)
	require.NoError(t, err)
	require.NoError(t, wait.For(t.Context(), "the stand-in's pid file", func(context.Context) (bool, string, error) {
		return daemonPID("/proc", s) == d.pid, "not there", nil
	}, wait.Interval(10*time.Millisecond)))
	e, err := awaitEarlier(t.Context(), h, Options{}, s, d.pid)
	require.NoError(t, err)
	assert.False(t, e.Started)
	require.NoError(t, d.end(t.Context(), s))

	run.errors[askDocker] = "Cannot connect"
	run.then = nil
	_, err = awaitEarlier(t.Context(), h, Options{}, s, d.pid)
	assert.ErrorContains(t, err, fmt.Sprintf("dockerd (pid %d) ended", d.pid))
}

func TestProvisionLeavesForeignConfigurationAlone(t *testing.T) {
	run := &fakeRunner{}
	h := provisionHost(t, run)
	require.NoError(t, os.MkdirAll(h.path("/etc/docker"), 0o755))
	require.NoError(t, os.WriteFile(h.path(hostConfigPath), []byte("{}"), 0o644))
	_, err := provision(t.Context(), h, Options{StateDir: t.TempDir(), Install: true}, nil)
	assert.ErrorContains(t, err, "this project did not write")
	assert.Empty(t, run.ran, "nothing is installed or started")
}

func TestProvisionLeavesAnotherDockerdAlone(t *testing.T) {
	h := provisionHost(t, &fakeRunner{})
	for pid, ns := range map[string]string{"7": "pid:[2]", "9": "pid:[1]"} { // 7 lives in a container
		require.NoError(t, os.MkdirAll(h.path("/proc/"+pid+"/ns"), 0o755))
		require.NoError(t, os.WriteFile(h.path("/proc/"+pid+"/cmdline"), []byte("/usr/bin/dockerd\x00-H\x00fd://\x00"), 0o644))
		require.NoError(t, os.Symlink(ns, h.path("/proc/"+pid+"/ns/pid")))
	}
	require.NoError(t, os.MkdirAll(h.path("/proc/self/ns"), 0o755))
	require.NoError(t, os.Symlink("pid:[1]", h.path("/proc/self/ns/pid")))
	_, err := provision(t.Context(), h, Options{StateDir: t.TempDir(), Install: true}, nil)
	assert.EqualError(t, err, "dockerd is running (pid 9, `/usr/bin/dockerd -H fd://`) but does not answer: see its log, end or repair it, and run again")
}

func TestStopBelievesNoPidFile(t *testing.T) {
	s := state{t.TempDir()}
	other := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, other.Start())
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	for _, text := range []string{strconv.Itoa(other.Process.Pid), "0", "-1", "x", ""} {
		require.NoError(t, os.WriteFile(s.pidFile(), []byte(text), 0o644))
		require.NoError(t, Stop(t.Context(), s.dir))
		assert.NoFileExists(t, s.pidFile())
	}
	assert.NoError(t, other.Process.Signal(syscall.Signal(0)), "the other process lives")
	assert.NoError(t, Stop(t.Context(), filepath.Join(s.dir, "none")))
	assert.NoDirExists(t, filepath.Join(s.dir, "none"))
}

func TestStartUnit(t *testing.T) {
	run := everything()
	e, err := startUnit(t.Context(), run, Options{})
	require.NoError(t, err)
	assert.Equal(t, "20.10.24+dfsg1", e.Version)
	assert.Equal(t, "systemctl start docker.service", run.ran[0])

	run = everything()
	run.errors["systemctl start docker.service"] = "Job failed."
	run.answers["journalctl"] = "no space left on device"
	_, err = startUnit(t.Context(), run, Options{})
	assert.EqualError(t, err, "starting Docker through systemd: Job failed.\nits last words, from `journalctl --unit=docker.service`:\nno space left on device")
	assert.Equal(t, "systemctl stop docker.socket docker.service", run.ran[len(run.ran)-1])
}

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = lock(ctx, path)
	assert.ErrorContains(t, err, "waiting for another run to finish installing or starting a container engine")
	assert.ErrorContains(t, err, path+" is locked")
	unlock()
	unlock, err = lock(t.Context(), path)
	require.NoError(t, err)
	unlock()
	_, err = lock(t.Context(), filepath.Join(path, "below a file"))
	assert.ErrorContains(t, err, "the engine's lock")
}

func TestDaemonEnv(t *testing.T) {
	env := daemonEnv([]string{"PATH=/opt/bin", "HOME=/h", "https_proxy=http://p", "TOKEN=x", "GOFLAGS=-mod=mod", "DOCKER_HOST=tcp://h"})
	assert.ElementsMatch(t, []string{"HOME=/h", "https_proxy=http://p", "PATH=/opt/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"}, env)
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte("a\nb\nc\n"), 0o644))
	assert.Equal(t, "b\nc", tail(path, 2))
	assert.Equal(t, "a\nb\nc", tail(path, 15))
	assert.Contains(t, tail(path+"x", 2), "no such file")
}

func TestAStalePidFileDoesNotKeepTheDaemonFromStarting(t *testing.T) {
	s := state{dir: t.TempDir()}
	// Number 1 is always running, and is no dockerd of ours.
	require.NoError(t, os.WriteFile(s.pidFile(), []byte("1"), 0o644))
	_, err := launch("/bin/true", s)
	require.NoError(t, err)
	assert.NoFileExists(t, s.pidFile())
}
