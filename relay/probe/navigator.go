package probe

import (
	"errors"

	"github.com/antchfx/xmlquery"
	"github.com/antchfx/xpath"
)

// xpathSteps is how many steps through a document an XPath may take. A path
// that names its value takes one a node; predicates such as [last()] take the
// square of that, and an evaluation can't be interrupted from outside.
const xpathSteps = 5_000_000

// errTooMuchWork ends an evaluation: the library knows no other way out than a
// panic, which find catches.
var errTooMuchWork = errors.New("looking the path up takes too long; name the way to the value, without “//” and predicates")

// navigator walks an XML document and counts its steps. Copies share the
// count.
type navigator struct {
	*xmlquery.NodeNavigator
	left *int
}

func newNavigator(root *xmlquery.Node) navigator {
	left := xpathSteps
	return navigator{NodeNavigator: xmlquery.CreateXPathNavigator(root), left: &left}
}

func (n navigator) spend(steps int) {
	if *n.left -= steps; *n.left < 0 {
		panic(errTooMuchWork)
	}
}

func (n navigator) Copy() xpath.NodeNavigator {
	n.spend(1)
	return navigator{NodeNavigator: n.NodeNavigator.Copy().(*xmlquery.NodeNavigator), left: n.left}
}

// Value is all the text below a node, for which the library visits each of
// them.
func (n navigator) Value() string {
	if n.NodeType() == xpath.ElementNode {
		n.spendBelow(n.Current())
	}
	v := n.NodeNavigator.Value()
	n.spend(1 + len(v)/64)
	return v
}

func (n navigator) spendBelow(node *xmlquery.Node) {
	for c := node.FirstChild; c != nil; c = c.NextSibling {
		n.spend(1)
		n.spendBelow(c)
	}
}

// MoveToFirst goes back over every sibling.
func (n navigator) MoveToFirst() bool {
	for s := n.Current().PrevSibling; s != nil; s = s.PrevSibling {
		n.spend(1)
	}
	return n.NodeNavigator.MoveToFirst()
}

func (n navigator) MoveToRoot()        { n.spend(1); n.NodeNavigator.MoveToRoot() }
func (n navigator) MoveToParent() bool { n.spend(1); return n.NodeNavigator.MoveToParent() }
func (n navigator) MoveToChild() bool  { n.spend(1); return n.NodeNavigator.MoveToChild() }
func (n navigator) MoveToNext() bool   { n.spend(1); return n.NodeNavigator.MoveToNext() }

func (n navigator) MoveToPrevious() bool {
	n.spend(1)
	return n.NodeNavigator.MoveToPrevious()
}

func (n navigator) MoveToNextAttribute() bool {
	n.spend(1)
	return n.NodeNavigator.MoveToNextAttribute()
}

func (n navigator) MoveTo(other xpath.NodeNavigator) bool {
	n.spend(1)
	if o, ok := other.(navigator); ok {
		other = o.NodeNavigator
	}
	return n.NodeNavigator.MoveTo(other)
}
