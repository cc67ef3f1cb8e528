package service

// InstallerComponent is how Windows Installer knows the agent's program over all
// versions of its MSI. It must never change.
const InstallerComponent = "{6F1F2B0C-6C0E-4B7C-9E8B-0D5A3D1C7B12}"
