package reports

import (
	"fmt"
	"strings"
)

// Repetitions are the figures of a run that judged one subject several times.
type Repetitions struct {
	// Rounds is how often it was judged.
	Rounds int `json:"rounds"`
	// Failed is in how many of them a check failed.
	Failed int `json:"failed"`
	// Inconclusive is in how many others a check could not be judged.
	Inconclusive int `json:"inconclusive"`
	// Low and High bound, at 95 %, the share of rounds that are not all good.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Phases tell how long each took, the longest first.
	Phases []PhaseStatistic `json:"phases"`
}

// PhaseStatistic is how long a phase took over several rounds.
type PhaseStatistic struct {
	Name string `json:"name"`
	// MeanSeconds is the mean of its wall-clock times.
	MeanSeconds float64 `json:"meanSeconds"`
	// HalfWidthSeconds is half of the interval in which the mean lies at 95 %.
	HalfWidthSeconds float64 `json:"halfWidthSeconds"`
}

// String says it in a line.
func (r Repetitions) String() string {
	var phases []string
	for _, p := range r.Phases {
		phases = append(phases, fmt.Sprintf("%s %.1f s ± %.1f", p.Name, p.MeanSeconds, p.HalfWidthSeconds))
	}
	return fmt.Sprintf("%d rounds: %d failed, %d inconclusive (at 95 %%, between %.1f and %.1f %% of rounds are not all good); %s",
		r.Rounds, r.Failed, r.Inconclusive, 100*r.Low, 100*r.High, strings.Join(phases, ", "))
}
