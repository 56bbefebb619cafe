package upgrade

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/disrupt"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/conformance"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// upgradeWatched is of an upgrade that somebody else made, by whatever tool, on a cluster
// that is not ours. It is extended: which step was when, and which pods there were in
// between, is not known, so that it claims less than an upgrade that was made by steps.
var upgradeWatched = conformance.Watched("upgrade-watched",
	"While the mesh was upgraded by its owner, no scrape was missed but by pods that he replaced", Profile, watched)

// watched is the one step of such an upgrade.
const watched = "watched"

// Watch looks on until something ends it, and judges what was scraped meanwhile. What
// was scraped is read afterwards, so it begins with the run, not when everything that
// there is before has been looked at.
func (s *Session) Watch() (result reports.Check, err error) {
	var e observe.Episode
	guest := s.run.Guest
	observer, err := observe.NewObserver(guest.Config, guest.Prometheus.Namespace, guest.Prometheus.Name)
	if err != nil {
		return result, err
	}
	err = s.run.Phase("watch", func(ctx context.Context) (why string, err error) {
		e, err = observer.Episode(ctx, s.run.Report.StartedAt, watched, "the owner of the mesh changes it", s.run.Settle, func(ctx context.Context, mark func(string)) (err error) {
			mark(disrupt.Begins)
			why, err = s.run.AwaitEnd(ctx)
			mark(disrupt.Undone)
			return err
		})
		return "it ended since " + why, err
	})
	if err != nil {
		return result, err
	}
	record := Record{Check: upgradeWatched.ID, Planned: []Name{{watched, watched}}}
	err = s.run.Phase("observe", func(ctx context.Context) (string, error) {
		o, err := observer.Attach(ctx, observe.Guest{Permitted: s.run.Permit, History: max(e.To.Sub(e.From), time.Minute), Settle: s.run.Settle})
		o.Episodes = []observe.Episode{e}
		record.Steps = []Step{{Name: Name{watched, watched}, Observation: o}}
		return e.Settled, err
	})
	if err != nil {
		return result, err
	}
	s.records = []Record{record}
	s.describe()
	result, err = judged(record)
	return result, errors.Join(err, record.write(filepath.Join(s.run.OutDir(), "observations", upgradeWatched.ID+".json")))
}

// planWatch refuses what a watch has no use for. The error is the user's.
func (s *Session) planWatch(r *run.Run, o Options) error {
	if o.Mistake != "" {
		return errors.New("a watch only reads and makes no mistake: leave -mistake out")
	}
	r.Total = 1
	r.Report.Profiles = []reports.Profile{{Name: Profile}}
	return nil
}
