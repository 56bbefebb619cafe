package incluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/parcel"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/wait"
)

const (
	// startTimeout bounds the wait for the pod to run: a node must have room for it and
	// pull an image of some 50 MiB.
	startTimeout = 5 * time.Minute
	// mostLog bounds what is read of a log, in bytes: twice what a report in it may have.
	mostLog = 4 * parcel.MostPacked
	// longestLine bounds a line of it, in bytes: what a check prints has some hundreds.
	longestLine = 1 << 20
	// tailLines is how many of the last lines an error repeats.
	tailLines = 8
)

// Unknown is the exit code of a process of which nobody can say how it ended.
const Unknown = -1

// Outcome is what became of the run inside.
type Outcome struct {
	Archive  []byte // its report, whole and as it was sent; nil if none arrived
	ExitCode int    // of its process, or [Unknown]
	Ended    string // how it ended, in words
	missing  error  // why no report arrived
	tail     []string
}

// Missing says why no report arrived, and what the run inside said last. It is nil if
// one did.
func (o Outcome) Missing() error {
	if o.Archive != nil {
		return nil
	}
	err := fmt.Errorf("%w; the run inside ended with %s", o.missing, o.Ended)
	if len(o.tail) == 0 {
		return fmt.Errorf("%w, and printed nothing", err)
	}
	return fmt.Errorf("%w, and said last:\n  %s", err, strings.Join(o.tail, "\n  "))
}

// Follow waits for the run inside to start and to end, hands on what it prints, and
// returns what became of it. The error says why it did not start or is not known to have
// ended.
func (j *Job) Follow(ctx context.Context) (Outcome, error) {
	pod, err := j.awaitPod(ctx)
	if err != nil {
		return Outcome{}, err
	}
	j.Started(pod)
	f := follower{Job: j, pod: pod, outcome: Outcome{ExitCode: Unknown, missing: errors.New("no log was read")}}
	err = wait.For(ctx, fmt.Sprintf("the run in the pod %s/%s to end", Namespace(j.RunID), pod), f.step, wait.Timeout(j.lasts+margin))
	return f.outcome, err
}

// awaitPod waits until the suite runs in a pod of the Job, or has already ended there.
func (j *Job) awaitPod(ctx context.Context) (name string, err error) {
	namespace := Namespace(j.RunID)
	refused := "" // what was last said of the image; what follows only says that it is tried again
	err = wait.For(ctx, "the pod of the Job in "+namespace+" to run", func(ctx context.Context) (bool, string, error) {
		pods, err := j.kubernetes.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", stopIfForbidden(err)
		}
		if len(pods.Items) == 0 {
			return j.withoutPod(ctx)
		}
		pod := &pods.Items[0]
		name = pod.Name
		running, state, never := start(pod)
		if pulling := imageTrouble(pod); pulling != "" {
			refused = pulling
		}
		if never != nil && refused != "" {
			never = fmt.Errorf("%w: %s", never, refused)
		}
		return running, state, wait.Stop(never)
	}, wait.Timeout(startTimeout))
	return name, err
}

// withoutPod says why the Job has no pod.
func (j *Job) withoutPod(ctx context.Context) (bool, string, error) {
	if failed := j.failure(ctx); failed != "" {
		return false, "", wait.Stop(errors.New(failed))
	}
	state := "the Job has no pod yet"
	events, err := j.kubernetes.CoreV1().Events(Namespace(j.RunID)).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err == nil && len(events.Items) > 0 {
		last := events.Items[len(events.Items)-1]
		state += fmt.Sprintf("; %s %s: %s: %s", last.InvolvedObject.Kind, last.InvolvedObject.Name, last.Reason, last.Message)
	}
	return false, state, nil // without events, less is told
}

// failure is what the Job says of how it failed; empty if it did not, or does not say.
func (j *Job) failure(ctx context.Context) string {
	jobs, err := j.kubernetes.BatchV1().Jobs(Namespace(j.RunID)).List(ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	for _, job := range jobs.Items {
		for _, c := range job.Status.Conditions {
			if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
				return fmt.Sprintf("the Job failed: %s: %s", c.Reason, c.Message)
			}
		}
	}
	return ""
}

func stopIfForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return wait.Stop(fmt.Errorf("%w (to follow a run takes list on pods and get on pods/log there)", err))
	}
	return err
}

// follower is the state between two looks at a run that goes on.
type follower struct {
	*Job
	pod     string
	outcome Outcome
	shown   int  // how many lines were handed on: a log that is read again begins at the first
	ended   bool // the pod had ended when it was last looked at
}

// step reads the log as long as the run writes it, and then looks at the pod. A log that
// broke off is read again from its beginning. The run is over when it has ended and its
// log was read after that, or has told all before.
func (f *follower) step(ctx context.Context) (done bool, state string, err error) {
	over := f.ended
	if f.outcome.Archive == nil {
		r := &parcel.Receiver{RunID: f.RunID}
		err = f.read(ctx, r)
		archive, missing := r.Archive()
		if f.outcome.Archive = archive; err != nil && missing != nil {
			missing = fmt.Errorf("%w (%w)", missing, err)
		}
		f.outcome.missing = missing
	}
	pod, lookErr := f.kubernetes.CoreV1().Pods(Namespace(f.RunID)).Get(ctx, f.pod, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(lookErr): // whoever removed it took its log away as well
		f.outcome.Ended = "its pod gone"
		if failed := f.failure(ctx); failed != "" {
			f.outcome.Ended += ": " + failed
		}
		return true, "", nil
	case lookErr != nil:
		return false, "", stopIfForbidden(lookErr)
	}
	f.ended, f.outcome.ExitCode, f.outcome.Ended = end(pod)
	if f.ended && (over || f.outcome.Archive != nil) {
		return true, "", nil
	}
	return false, "the pod is " + string(pod.Status.Phase), stopIfForbidden(err)
}

// read gives the log to a receiver, and what of it is for people and new to them to
// whoever wants it. It returns when the log ends, which one of a running container does
// when that ends, or when the connection breaks.
func (f *follower) read(ctx context.Context, r *parcel.Receiver) error {
	stream, err := f.kubernetes.CoreV1().Pods(Namespace(f.RunID)).GetLogs(f.pod, &corev1.PodLogOptions{Container: container, Follow: true}).Stream(ctx)
	if err != nil {
		return fmt.Errorf("reading the log of the pod %s/%s: %w", Namespace(f.RunID), f.pod, err)
	}
	defer stream.Close()
	lines := bufio.NewScanner(io.LimitReader(stream, mostLog))
	lines.Buffer(nil, longestLine)
	lines.Split(wholeLines)
	for n := 0; lines.Scan(); {
		line := lines.Text()
		if !r.Line(line) {
			continue
		}
		if n++; n <= f.shown {
			continue
		}
		f.shown = n
		f.outcome.tail = append(f.outcome.tail, line)
		f.outcome.tail = f.outcome.tail[max(0, len(f.outcome.tail)-tailLines):]
		f.Relay(line)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the log of the pod %s/%s: %w", Namespace(f.RunID), f.pod, err)
	}
	return nil
}

// wholeLines is [bufio.ScanLines] without a last line that has no end: the connection
// broke in it, and it comes again.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if atEOF && !bytes.ContainsRune(data, '\n') {
		return len(data), nil, nil
	}
	return bufio.ScanLines(data, atEOF)
}
