package service

import "fmt"

// InstallerComponent is how Windows Installer knows the agent's program over all
// versions of its MSI. It must never change.
const InstallerComponent = "{6F1F2B0C-6C0E-4B7C-9E8B-0D5A3D1C7B12}"

// installerAdvice says what owns a program, and how to remove that. product is
// the code by which Windows Installer knows the version that is installed.
func installerAdvice(product string) string {
	return fmt.Sprintf("the package “Sallyport agent” (MSI) owns it: remove that under Settings ▸ Apps, or with: msiexec /x %s", product)
}
