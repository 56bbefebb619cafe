package reports

// field is a value with its name in report.json and its name for a person.
type field struct{ Name, Label, Value string }

// fields are what is known of a subject, in the order in which it is shown.
func (s Subject) fields() []field {
	return []field{
		{"kubernetes", "Kubernetes", s.Kubernetes},
		{"istio", "Istio", s.Istio},
		{"dataPlane", "Data plane", s.DataPlane},
		{"prometheus", "Prometheus", s.Prometheus},
		{"operator", "Prometheus Operator", s.Operator},
		{"trustDomain", "Trust domain", s.TrustDomain},
		{"imageSource", "Image source", s.ImageSource},
		{"fingerprint", "Fingerprint", s.Fingerprint},
	}
}
