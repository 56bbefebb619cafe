package reports

// remedy is one thing to change, and what it would turn green. One mistake turns many
// checks red, and who reads the report wants to be told once.
type remedy struct {
	Cause  Cause // zero for checks that nothing explains
	Checks []int // by their place in the report
}

// remedies groups the checks that need a look by their best cause, in the order in
// which the first check of each needs it; what nothing explains comes last.
func remedies(r Report) []remedy {
	var all []remedy
	var unexplained remedy
	at := map[[2]string]int{}
	for _, n := range troubled(r) {
		c := r.Checks[n]
		if len(c.Causes) == 0 {
			unexplained.Checks = append(unexplained.Checks, n)
			continue
		}
		best := c.Causes[0]
		key := [2]string{best.Code, best.Change}
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key] = i
			all = append(all, remedy{Cause: best})
		}
		all[i].Checks = append(all[i].Checks, n)
	}
	if len(unexplained.Checks) > 0 {
		all = append(all, unexplained)
	}
	return all
}
