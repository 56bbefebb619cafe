package reports

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	// mostSummary is how many bytes of a job summary GitHub shows at most; it refuses a
	// longer one as a whole.
	// https://docs.github.com/actions/using-workflows/workflow-commands-for-github-actions#adding-a-markdown-summary
	mostSummary = 1 << 20
	// mostAnnotations is how many annotations of one kind GitHub shows of a step; it
	// drops what follows without a word.
	// https://github.com/orgs/community/discussions/68471
	mostAnnotations = 10
)

// GitHub tells a run to GitHub Actions, if it runs there: each thing that made it red
// as an annotation on out, and summary.md in the summary of the job. Elsewhere it does
// nothing. getenv is os.Getenv but for tests.
func GitHub(out io.Writer, r Report, getenv func(string) string) error {
	if getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	if _, err := io.WriteString(out, Annotations(r)); err != nil {
		return fmt.Errorf("cannot write the annotations: %w; %s has what they say", err, MarkdownFile)
	}
	data, err := Markdown(r)
	if err != nil {
		return err
	}
	if len(data) > mostSummary {
		data = markdownHead(r)
	}
	return JobSummary(data, getenv)
}

// JobSummary adds Markdown to the summary of the job in the file that
// GITHUB_STEP_SUMMARY names. Without that variable it does nothing. GitHub refuses more
// than 1 MiB as a whole. getenv is os.Getenv but for tests.
func JobSummary(markdown []byte, getenv func(string) string) error {
	path := getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot add to the job summary that GITHUB_STEP_SUMMARY names: %w; %s", err, nextStep(err))
	}
	_, err = f.Write(markdown)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("cannot add to the job summary that GITHUB_STEP_SUMMARY names: %w; %s", err, nextStep(err))
	}
	return nil
}

// Annotations are the commands that let GitHub show what made a run red beside the
// job, most important first: an error each, or a notice for a check on trial.
func Annotations(r Report) string {
	r.Conclude()
	var errors, notices []string
	add := func(title, text string) { errors = append(errors, command("error", title, text)) }
	if r.Error != nil {
		add("set-up failed: "+r.Error.Phase, r.Error.Message)
	}
	for _, i := range troubled(r) {
		c := r.Checks[i]
		title, text := fmt.Sprintf("%s: %s", c.ID, c.outcome()), plain(c)
		if !c.Level.Gates() {
			notices = append(notices, command("notice", title+" (provisional, does not count)", text))
			continue
		}
		add(title, text)
	}
	if len(r.Leftovers) > 0 {
		add("left something behind", strings.Join(r.Leftovers, "\n"))
	}
	if r.Verdict != Pass && len(errors) == 0 {
		add(r.ExitCode.String(), r.Headline())
	}
	if less := r.unclaimed(); len(less) > 0 {
		notices = append(notices, command("notice", r.Word(), strings.Join(less, "\n")))
	}
	if more := len(errors) - mostAnnotations; more > 0 {
		errors = append(errors[:mostAnnotations-1], command("error", fmt.Sprintf("%d more", more+1), fmt.Sprintf("GitHub shows no more than %d errors of a step; all are in %s", mostAnnotations, MarkdownFile)))
	}
	notices = notices[:min(len(notices), mostAnnotations)]
	return strings.Join(append(errors, notices...), "")
}

// command is one line that GitHub's runner obeys. What it quotes is escaped as the
// runner's own toolkit does, so that it can neither end the command nor begin one.
func command(name, title, text string) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	return fmt.Sprintf("::%s title=%s::%s\n", name, property.Replace(oneLine(title)), data.Replace(block(text)))
}
