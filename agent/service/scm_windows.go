package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	kardianos "github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"
)

// scm is Host on Windows, with its service control manager. It has no account
// to make: Windows makes the virtual one with the service.
type scm struct{ layout Layout }

// This is the share of this machine that an instance has or would have.
func This(instance string) (Host, error) {
	l, err := LayoutOn("windows", instance, os.Getenv)
	if err != nil {
		return nil, err
	}
	return &scm{layout: l}, nil
}

func (s *scm) Layout() Layout { return s.layout }

func (s *scm) Ready() error {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return errors.New("this needs an administrator: open a shell with “Run as administrator”, and run it again there")
	}
	return nil
}

func (s *scm) AddAccount(context.Context) (bool, error) { return false, nil }
func (s *scm) RemoveAccount(context.Context) error      { return nil }

func (s *scm) Package() string { return installerOf(s.layout.Binary) }

func (s *scm) MakeDir(path string, access Access) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return s.grant(path, accessList(s.layout.Service, access, true))
}

func (s *scm) Grant(path string, access Access) error {
	return s.grant(path, accessList(s.layout.Service, access, false))
}

// grant sets the access list, and cuts it off from that of the directory above.
func (s *scm) grant(path, sddl string) error {
	descriptor, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return fmt.Errorf("set the access list of %s: %w", path, err)
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		return fmt.Errorf("set the access list of %s: %w", path, err)
	}
	if err := windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil); err != nil {
		return fmt.Errorf("set the access list of %s: %w", path, err)
	}
	return nil
}

func (s *scm) Install(ctx context.Context, binary string) (func(context.Context) error, error) {
	before, err := s.registered()
	if err != nil {
		return nil, err
	}
	undo := func(ctx context.Context) error {
		if before == nil {
			return s.Uninstall(ctx)
		}
		return s.change(*before)
	}
	if before == nil {
		k, err := kardianos.New(idle{}, &kardianos.Config{
			Name: s.layout.Service, DisplayName: s.layout.Title, Description: description,
			Executable: binary, Arguments: s.layout.Args(), UserName: s.layout.Account,
		})
		if err != nil {
			return nil, err
		}
		if err := k.Install(); err != nil { // it also registers the event source
			return nil, fmt.Errorf("register the service %s: %w", s.layout.Service, err)
		}
	} else if err := s.change(registration{commandLine(append([]string{binary}, s.layout.Args()...)), mgr.StartAutomatic}); err != nil {
		return nil, err
	}
	if err := s.with(windows.SERVICE_ALL_ACCESS, arrange); err != nil {
		return nil, errors.Join(fmt.Errorf("set when %s is started: %w", s.layout.Service, err), undo(ctx))
	}
	return undo, nil
}

// arrange sets when the service is started: with the machine, after the
// services that the machine itself needs, and again after failures. A system
// that knows no such setting (Wine) does without.
func arrange(service *mgr.Service) error {
	for _, set := range []func(*mgr.Service) error{startLate, recoverBy} {
		if err := set(service); err != nil && !errors.Is(err, windows.ERROR_INVALID_LEVEL) {
			return err
		}
	}
	return nil
}

// startLate is not mgr's, which writes the whole configuration with it.
func startLate(service *mgr.Service) error {
	info := windows.SERVICE_DELAYED_AUTO_START_INFO{IsDelayedAutoStartUp: 1}
	return windows.ChangeServiceConfig2(service.Handle, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, (*byte)(unsafe.Pointer(&info)))
}

// recoverBy has the service started again after failures.
func recoverBy(service *mgr.Service) error {
	var actions []mgr.RecoveryAction
	for _, delay := range recoveryDelays {
		actions = append(actions, mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: delay})
	}
	if err := service.SetRecoveryActions(actions, uint32(recoveryReset/time.Second)); err != nil {
		return err
	}
	return service.SetRecoveryActionsOnNonCrashFailures(true)
}

// registration is what of a service's configuration an upgrade changes.
type registration struct {
	commandLine string
	startType   uint32
}

// registered is how the service is registered; nil: it is not.
func (s *scm) registered() (r *registration, err error) {
	err = s.with(windows.SERVICE_QUERY_CONFIG, func(service *mgr.Service) error {
		found, err := readRegistration(service)
		r = &found
		return err
	})
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil, nil
	}
	return r, err
}

// readRegistration is not mgr's Config, which asks for more than every system
// knows.
func readRegistration(service *mgr.Service) (registration, error) {
	for size := uint32(1024); ; {
		buffer := make([]byte, size)
		c := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buffer[0]))
		err := windows.QueryServiceConfig(service.Handle, c, size, &size)
		if err == nil {
			return registration{windows.UTF16PtrToString(c.BinaryPathName), c.StartType}, nil
		}
		if !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) || size <= uint32(len(buffer)) {
			return registration{}, err
		}
	}
}

// change registers the service anew; whom it runs as stays.
func (s *scm) change(r registration) error {
	command, err := windows.UTF16PtrFromString(r.commandLine)
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(s.layout.Title)
	if err != nil {
		return err
	}
	return s.with(windows.SERVICE_CHANGE_CONFIG, func(service *mgr.Service) error {
		return windows.ChangeServiceConfig(service.Handle, windows.SERVICE_NO_CHANGE, r.startType, windows.SERVICE_NO_CHANGE,
			command, nil, nil, nil, nil, nil, name)
	})
}

// with opens the service for some rights. Not through mgr.Connect, which asks
// for all of them: anybody may see how a service is.
func (s *scm) with(rights uint32, do func(*mgr.Service) error) error {
	name, err := windows.UTF16PtrFromString(s.layout.Service)
	if err != nil {
		return err
	}
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return fmt.Errorf("reach the service control manager: %w", err)
	}
	defer windows.CloseServiceHandle(manager)
	handle, err := windows.OpenService(manager, name, rights)
	if err != nil {
		return fmt.Errorf("the service %s: %w", s.layout.Service, err)
	}
	service := &mgr.Service{Name: s.layout.Service, Handle: handle}
	defer service.Close()
	return do(service)
}

func (s *scm) Uninstall(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	err := s.with(windows.DELETE, func(service *mgr.Service) error { return service.Delete() })
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) || errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE) {
		err = nil
	}
	if err != nil {
		return err
	}
	_ = eventlog.Remove(s.layout.Service) // it may never have been registered
	return nil
}

func (s *scm) Start(ctx context.Context) error {
	err := s.with(windows.SERVICE_START, func(service *mgr.Service) error { return service.Start() })
	if errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.await(ctx, svc.Running)
}

// Stop asks the service to stop and waits until it has.
func (s *scm) Stop(ctx context.Context) error {
	err := s.with(windows.SERVICE_STOP, func(service *mgr.Service) error {
		_, err := service.Control(svc.Stop)
		return err
	})
	if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) || errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.await(ctx, svc.Stopped)
}

func (s *scm) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// await waits until the service is in a state.
func (s *scm) await(ctx context.Context, want svc.State) error {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	for {
		var now svc.Status
		err := s.with(windows.SERVICE_QUERY_STATUS, func(service *mgr.Service) (err error) {
			now, err = service.Query()
			return err
		})
		switch {
		case err != nil:
			return err
		case now.State == want:
			return nil
		case want == svc.Running && now.State == svc.Stopped:
			return fmt.Errorf("the service %s ended at once (code %d, %d); the event log says why", s.layout.Service, now.Win32ExitCode, now.ServiceSpecificExitCode)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the service %s is still %s: %w", s.layout.Service, strings.ReplaceAll(string(stateOf(now)), "_", " "), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *scm) Status(context.Context) (Status, error) {
	st := Status{Name: s.layout.Service, State: NotInstalled}
	err := s.with(windows.SERVICE_QUERY_STATUS|windows.SERVICE_QUERY_CONFIG, func(service *mgr.Service) error {
		now, err := service.Query()
		if err != nil {
			return err
		}
		st.State, st.PID = stateOf(now), int(now.ProcessId)
		if st.State == Failed {
			st.Detail = fmt.Sprintf("it ended with code %d, %d", now.Win32ExitCode, now.ServiceSpecificExitCode)
		}
		r, err := readRegistration(service)
		st.AtBoot = r.startType == mgr.StartAutomatic
		return err
	})
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return st, nil
	}
	return st, err
}

func stateOf(s svc.Status) State {
	switch s.State {
	case svc.StartPending, svc.ContinuePending:
		return Starting
	case svc.Running, svc.PausePending, svc.Paused:
		return Running
	case svc.StopPending:
		return Stopping
	}
	// A service that was never started since the machine was has this code too.
	if s.Win32ExitCode != 0 && s.Win32ExitCode != uint32(windows.ERROR_SERVICE_NEVER_STARTED) {
		return Failed
	}
	return Stopped
}

// commandLine is a command line as Windows splits it again.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = syscall.EscapeArg(a)
	}
	return strings.Join(quoted, " ")
}
