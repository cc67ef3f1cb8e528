package web

import (
	"errors"

	"sallyport/proto"
	"sallyport/relay/account"
)

// formFaults are the faulty fields of a short form, in the form's order.
type formFaults []account.Fault

// faultsIn are those that err names. What is about no field in particular is shown
// at the one of the given path.
func faultsIn(err error, otherwise string) formFaults {
	var wrong *account.Invalid
	if errors.As(err, &wrong) {
		return wrong.Fields
	}
	return formFaults{{Path: otherwise, Message: sentence(proto.AsError(err))}}
}

// Of is the message about a field; "": it is as it must be.
func (f formFaults) Of(path string) string {
	for _, one := range f {
		if one.Path == path {
			return one.Message
		}
	}
	return ""
}

// First reports whether a field is the first faulty one, which gets the focus.
func (f formFaults) First(path string) bool { return len(f) > 0 && f[0].Path == path }
