package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/mlpipeline/mlpipeline/internal/config"
	"github.com/mlpipeline/mlpipeline/internal/pipeline/local"
)

// gpus asks the tools of the makers what there is, and what occupies it.
func (d *Doctor) gpus(ctx context.Context) []Finding {
	var findings []Finding
	var cards []local.Card
	for told := range local.AskTools(ctx) {
		cards = append(cards, told.Cards...)
		var users map[string][]string
		if len(told.Cards) > 0 && told.Tool == "nvidia-smi" {
			users = local.Users(ctx)
		}
		for _, card := range told.Cards {
			findings = append(findings, occupied(card, users[card.UUID]))
		}
		switch {
		case told.Err != nil:
			findings = append(findings, say(Warning, "gpu", "see what "+told.Tool+" says; after an update of the driver, restart the machine", "%s does not work: %v", told.Tool, told.Err))
		case len(told.Cards) == 0:
			findings = append(findings, say(Info, "gpu", "", "%s finds none", told.Tool))
		}
	}
	if findings == nil {
		findings = []Finding{say(Info, "gpu", "", "none is known: there is no nvidia-smi and no rocm-smi on PATH")}
	}
	if d.project != nil && len(cards) > 0 {
		findings = append(findings, unknownGPUs(d.project.GPUs, cards)...)
	}
	return findings
}

// unknownGPUs tells of those that mlp.config lists and no tool knows.
func unknownGPUs(listed []string, cards []local.Card) (findings []Finding) {
	for _, name := range listed {
		known := slices.ContainsFunc(cards, func(c local.Card) bool {
			return name == c.Index || strings.HasPrefix(c.UUID, name)
		})
		// The parts of a GPU, and the UUIDs of AMD, are not told.
		if known || name == config.AllGPUs || strings.HasPrefix(name, "MIG-") || strings.HasPrefix(name, "GPU-") && cards[0].UUID == "" {
			continue
		}
		findings = append(findings, say(Problem, "gpu", "correct gpus in mlp.config; gpus=auto takes all that there are", "gpus in mlp.config lists %s, which this machine does not have", name))
	}
	return findings
}

// occupied tells of a card. A driver holds some memory for itself.
func occupied(card local.Card, users []string) Finding {
	text := card.Index + ": " + card.Name
	if card.Driver != "" {
		text += ", driver " + card.Driver
	}
	if card.Total > 0 {
		text += ", " + size(card.Total)
	}
	if len(users) > 0 {
		return say(Info, "gpu", "", "%s, %s of it used by %s", text, size(card.Used), strings.Join(users, ", "))
	}
	if card.Used > 0 {
		text += ", " + size(card.Used) + " of it used"
	}
	return say(Info, "gpu", "", "%s", text)
}
