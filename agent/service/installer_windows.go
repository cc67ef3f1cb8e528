package service

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Windows Installer's own functions (msi.h). golang.org/x/sys has none of them.
var (
	installer       = windows.NewLazySystemDLL("msi.dll")
	locateComponent = installer.NewProc("MsiLocateComponentW")
	getProductCode  = installer.NewProc("MsiGetProductCodeW")
)

const (
	stateLocal   = 3  // INSTALLSTATE_LOCAL: the component is on this machine
	productChars = 39 // a GUID in braces, and the end of the text
)

// installerOf says that an MSI has installed the program at path; "" where none
// has, or the machine has no Windows Installer.
func installerOf(path string) string {
	component, err := windows.UTF16PtrFromString(InstallerComponent)
	if err != nil || locateComponent.Find() != nil || getProductCode.Find() != nil {
		return ""
	}
	found := make([]uint16, 32<<10)
	length := uint32(len(found))
	state, _, _ := locateComponent.Call(uintptr(unsafe.Pointer(component)), uintptr(unsafe.Pointer(&found[0])), uintptr(unsafe.Pointer(&length)))
	if state != stateLocal || !strings.EqualFold(windows.UTF16ToString(found), path) {
		return ""
	}
	product := make([]uint16, productChars)
	if code, _, _ := getProductCode.Call(uintptr(unsafe.Pointer(component)), uintptr(unsafe.Pointer(&product[0]))); code != 0 {
		return ""
	}
	return "the package “Sallyport agent” (MSI) owns it: remove that under Settings ▸ Apps, or with: msiexec /x " + windows.UTF16ToString(product)
}
