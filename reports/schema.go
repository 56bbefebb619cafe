package reports

import (
	_ "embed"
	"slices"
)

var (
	//go:embed schema/report.schema.json
	schema []byte
	//go:embed schema/fleet.schema.json
	fleetSchema []byte
)

// Schema is the JSON Schema (2020-12) of report.json, for whoever reads reports in
// another language.
func Schema() []byte { return slices.Clone(schema) }

// FleetSchema is that of fleet.json. It refers to definitions of the report's, which lies
// beside it.
func FleetSchema() []byte { return slices.Clone(fleetSchema) }
