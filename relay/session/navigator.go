package session

import (
	"errors"

	"github.com/antchfx/xpath"
)

// errTooMuchWork ends an XPath that visits too much. The library knows no other
// way out than a panic, which xpathValue catches.
var errTooMuchWork = errors.New("it takes too long; name the way to the value, without “//” and predicates")

// xpathSteps is how many steps through a document an XPath may take: far more
// than a page has nodes, and a fraction of a second.
const xpathSteps = 2_000_000

// counted walks a document and counts its steps. Copies share the count.
type counted struct {
	xpath.NodeNavigator
	left *int
}

func newCounted(n xpath.NodeNavigator) counted {
	left := xpathSteps
	return counted{n, &left}
}

func (c counted) spend(steps int) {
	if *c.left -= steps; *c.left < 0 {
		panic(errTooMuchWork)
	}
}

func (c counted) Copy() xpath.NodeNavigator {
	c.spend(1)
	return counted{c.NodeNavigator.Copy(), c.left}
}

func (c counted) Value() string {
	v := c.NodeNavigator.Value()
	c.spend(1 + len(v)/16)
	return v
}

func (c counted) MoveToParent() bool        { c.spend(1); return c.NodeNavigator.MoveToParent() }
func (c counted) MoveToChild() bool         { c.spend(1); return c.NodeNavigator.MoveToChild() }
func (c counted) MoveToNext() bool          { c.spend(1); return c.NodeNavigator.MoveToNext() }
func (c counted) MoveToPrevious() bool      { c.spend(1); return c.NodeNavigator.MoveToPrevious() }
func (c counted) MoveToNextAttribute() bool { c.spend(1); return c.NodeNavigator.MoveToNextAttribute() }
func (c counted) MoveToFirst() bool         { c.spend(8); return c.NodeNavigator.MoveToFirst() }

func (c counted) MoveTo(other xpath.NodeNavigator) bool {
	c.spend(1)
	if o, ok := other.(counted); ok {
		other = o.NodeNavigator
	}
	return c.NodeNavigator.MoveTo(other)
}
