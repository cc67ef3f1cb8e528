# Installs the Sallyport agent on this machine, or upgrades it. In a PowerShell
# (5.1 or newer) that was started as administrator:
#
#   & ([scriptblock]::Create((irm RELAY/install.ps1))) -Code CODE
#
# It takes the agent's program from the relay that this script came from, checks
# its SHA-256 sum, and has it install itself: sallyport-agent install. What
# follows the options below is handed on to that, such as --allow RULE.
#
# The relay's certificate is checked against Windows' own store. Where the relay
# has a private authority, import that first, or download by other means.
[CmdletBinding(PositionalBinding = $false)]
param(
    [string] $Code = '',
    [string] $Relay = 'https://relay.invalid',
    [string] $CaFile = '',
    [string] $Proxy = '',
    [switch] $DownloadOnly,
    [Parameter(ValueFromRemainingArguments = $true)] [string[]] $Rest = @()
)

function Install-SallyportAgent {
    $ErrorActionPreference = 'Stop'
    $ProgressPreference = 'SilentlyContinue' # its bar makes downloads many times slower
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    $from = $Relay.TrimEnd('/')

    if (-not $DownloadOnly) {
        $me = New-Object Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())
        if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
            throw 'This has to be run as administrator: right-click PowerShell, "Run as administrator", and paste the command again.'
        }
    }
    if (-not [Environment]::Is64BitOperatingSystem) {
        throw 'There is no agent for 32-bit Windows: only for 64-bit (x64; ARM64 runs the same program).'
    }
    $name = 'sallyport-agent-windows-amd64.exe'

    $web = @{ UseBasicParsing = $true }
    if ($Proxy -and @('system', 'environment', 'none') -notcontains $Proxy) {
        $web.Proxy = $Proxy
        $web.ProxyUseDefaultCredentials = $true
    }
    $dir = Join-Path ([IO.Path]::GetTempPath()) ('sallyport-' + [Guid]::NewGuid().ToString('N'))
    New-Item -ItemType Directory -Path $dir | Out-Null
    try {
        Write-Host "Downloading the agent from $from"
        $sums = Join-Path $dir 'SHA256SUMS'
        $program = Join-Path $dir 'sallyport-agent.exe'
        try {
            Invoke-WebRequest @web -Uri "$from/downloads/SHA256SUMS" -OutFile $sums
        } catch {
            throw "$from/downloads/SHA256SUMS could not be fetched: $($_.Exception.Message) Can this machine reach the relay, has the relay downloads, and is a proxy needed (-Proxy URL)?"
        }
        $want = ''
        foreach ($line in Get-Content $sums) {
            if ($line -match '^([0-9a-f]{64}) [ *](.+)$' -and $Matches[2] -eq $name) { $want = $Matches[1] }
        }
        if (-not $want) { throw "The relay has no ${name}: $from/downloads/ lists what it has." }
        Invoke-WebRequest @web -Uri "$from/downloads/$name" -OutFile $program
        $got = (Get-FileHash -Algorithm SHA256 -Path $program).Hash.ToLowerInvariant()
        if ($got -ne $want) {
            throw "The download is damaged: its SHA-256 sum is $got, and the relay says $want. Something on the way may have changed it; nothing was installed."
        }
        if ($DownloadOnly) {
            $target = Join-Path (Get-Location) 'sallyport-agent.exe'
            Move-Item -Force -Path $program -Destination $target
            Write-Host "It is in $target"
            return
        }
        $arguments = @('install', '--relay', $from)
        if ($Code) { $arguments += @('--code', $Code) }
        if ($CaFile) { $arguments += @('--ca-file', $CaFile) }
        if ($Proxy) { $arguments += @('--proxy', $Proxy) }
        & $program @arguments @Rest
        if ($LASTEXITCODE -ne 0) { throw 'The agent was not installed: see above.' }
    } finally {
        Remove-Item -Recurse -Force -Path $dir -ErrorAction SilentlyContinue
    }
}

Install-SallyportAgent
