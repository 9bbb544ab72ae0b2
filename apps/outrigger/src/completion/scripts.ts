/** Shells that a script can be had for. */
export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** How people switch the completion on, in their shell's own words. */
export const howToLoad: Readonly<Record<Shell, string>> = {
  bash: 'source <(outrigger completion bash)',
  zsh: 'source <(outrigger completion zsh)',
  fish: 'outrigger completion fish | source',
}

/**
 * Scripts that ask `outrigger __complete -- WORD...` at each tab. It answers with a line `word<tab>description` for each
 * candidate, and with nothing where the shell is to offer files.
 */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# Completion of outrigger for bash: ${howToLoad.bash}
_outrigger() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _outrigger outrigger
`,
  zsh: `#compdef outrigger
# Completion of outrigger for zsh: ${howToLoad.zsh}
_outrigger() {
  local line word description
  local -a candidates
  while IFS= read -r line; do
    word="\${\${line%%$'\\t'*}//:/\\\\:}"
    description="\${line#*$'\\t'}"
    candidates+=("$word\${description:+:$description}")
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#candidates} )); then
    _describe outrigger candidates
  else
    _files
  fi
}
if [ "\${funcstack[1]}" = _outrigger ]; then
  _outrigger "$@"
else
  compdef _outrigger outrigger
fi
`,
  fish: `# Completion of outrigger for fish: ${howToLoad.fish}
function __outrigger_complete
  set -l words (commandline -opc) (commandline -ct)
  command $words[1] __complete -- $words[2..-1] 2>/dev/null
end
complete -c outrigger -n 'count (__outrigger_complete) >/dev/null' -f -a '(__outrigger_complete)'
`,
}
