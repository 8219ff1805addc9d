package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help describes how the script is used.
func (completionCommand) Help() string {
	return `bash: source <(portolan completion bash)

zsh: source <(portolan completion zsh)

fish: portolan completion fish | source`
}

// Run prints a script that completes commands, flags and their values. The shell completes file
// names if the values are not known.
func (c *completionCommand) Run(p *process, parsed *kong.Context) error {
	return writeCompletion(p.stdout, c.Shell, parsed.Model.Node)
}

func writeCompletion(w io.Writer, shell string, app *kong.Node) error {
	text := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[shell]
	script, err := template.New(shell).Funcs(template.FuncMap{
		"quote": quoted, "fishquote": fishQuoted, "join": strings.Join,
	}).Parse(text)
	if err != nil {
		return fmt.Errorf("completion script of %s: %w", shell, err)
	}
	return script.Execute(w, completions(app))
}

// completion is what can follow one command.
type completion struct {
	Path     string // "accounts create"; "" for the program itself
	Commands []described
	Flags    []completionFlag
	Values   []string // of an argument
}

// described is a word with the first sentence of its help.
type described struct{ Name, Help string }

// completionFlag is a flag with its dashes.
type completionFlag struct {
	described

	TakesValue bool
	Values     []string // the possible ones; nil: not known
}

// Bare returns the name of the flag without dashes.
func (f completionFlag) Bare() string { return strings.TrimPrefix(f.Name, "--") }

// CommandNames returns the names of the commands.
func (c completion) CommandNames() []string {
	var names []string
	for _, command := range c.Commands {
		names = append(names, command.Name)
	}
	return names
}

// FlagNames returns the names of all flags.
func (c completion) FlagNames() []string {
	var names []string
	for _, f := range c.Flags {
		names = append(names, f.Name)
	}
	return names
}

// ValueFlags returns the names of the flags that have a value.
func (c completion) ValueFlags() []string {
	var names []string
	for _, f := range c.Flags {
		if f.TakesValue {
			names = append(names, f.Name)
		}
	}
	return names
}

// completions describes node and all commands below it, except hidden ones.
func completions(node *kong.Node) []completion {
	c := completion{Path: pathOfCommand(node)}
	for _, flags := range node.AllFlags(true) {
		for _, f := range flags {
			c.Flags = append(c.Flags, completionFlag{
				described: described{"--" + f.Name, firstSentence(f.Help)}, TakesValue: !f.IsBool(), Values: possible(f.Value),
			})
		}
	}
	if node.Parent == nil { // handled by run, because accounts update has a flag with this name
		c.Flags = append(c.Flags, completionFlag{described: described{"--version", "Print the version"}})
	}
	for _, argument := range node.Positional {
		c.Values = append(c.Values, possible(argument)...)
	}
	var below []completion
	for _, child := range node.Children {
		if !child.Hidden {
			c.Commands = append(c.Commands, described{child.Name, firstSentence(child.Help)})
			below = append(below, completions(child)...)
		}
	}
	return append([]completion{c}, below...)
}

// possible returns the values that a flag or argument can have; nil if they are not known.
func possible(v *kong.Value) []string {
	if v.Enum != "" {
		return v.EnumSlice()
	}
	if known, ok := reflect.TypeAssert[interface{ values() []string }](v.Target); ok {
		return known.values()
	}
	return nil
}

func firstSentence(text string) string {
	sentence, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(sentence, ".")
}

// fishQuoted returns text as one word of a fish command.
func fishQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// The scripts walk the words before the cursor to find the command, and look up what can
// follow it. In bash, --flag=value arrives as three words.
const (
	bashCompletion = `# bash completion for portolan
_portolan_command() {
  case "$1" in
{{- range .}}
    {{quote .Path}}) commands={{quote (join .CommandNames " ")}} flags={{quote (join .FlagNames " ")}} takes={{quote (join .ValueFlags " ")}} values={{quote (join .Values " ")}} ;;
{{- end}}
  esac
}

_portolan_flag_values() {
  values=""
  case "$1" in
{{- range $c := .}}{{range .Flags}}{{if .Values}}
    {{quote (print $c.Path .Name)}}) values={{quote (join .Values " ")}} ;;
{{- end}}{{end}}{{end}}
  esac
}

_portolan() {
  local IFS=$' \t\n' cur="${COMP_WORDS[COMP_CWORD]}" previous="" at="" word i commands flags takes values
  COMPREPLY=()
  _portolan_command ""
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    if [[ $word == "=" ]]; then
      continue
    elif [[ -n $previous && " $takes " == *" $previous "* ]]; then
      previous=""
    elif [[ $word == -* ]]; then
      previous="$word"
    elif [[ " $commands " == *" $word "* ]]; then
      previous="" at="${at:+$at }$word"
      _portolan_command "$at"
    fi
  done
  if [[ $cur == "=" ]]; then
    cur=""
  fi
  if [[ -n $previous && " $takes " == *" $previous "* ]]; then
    _portolan_flag_values "$at$previous"
    COMPREPLY=($(compgen -W "$values" -- "$cur"))
  elif [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$commands $values" -- "$cur"))
  fi
}

complete -o bashdefault -o default -F _portolan portolan
`

	zshCompletion = `#compdef portolan
# zsh completion for portolan
_portolan_command() {
  case "$1" in
{{- range .}}
    {{quote .Path}})
      commands=({{range .Commands}}{{quote (print .Name ":" .Help)}} {{end}})
      flags=({{range .Flags}}{{quote (print .Name ":" .Help)}} {{end}})
      takes=({{join .ValueFlags " "}})
      values=({{join .Values " "}})
      ;;
{{- end}}
  esac
}

_portolan_flag_values() {
  values=()
  case "$1" in
{{- range $c := .}}{{range .Flags}}{{if .Values}}
    {{quote (print $c.Path .Name)}}) values=({{join .Values " "}}) ;;
{{- end}}{{end}}{{end}}
  esac
}

_portolan() {
  local previous="" at="" word="" cur="" i
  local -a commands flags takes values
  _portolan_command ""
  for ((i = 2; i < CURRENT; i++)); do
    word="${words[i]}"
    if [[ -n $previous ]] && (( ${takes[(Ie)$previous]} )); then
      previous=""
    elif [[ $word == --*=* ]]; then
      previous=""
    elif [[ $word == -* ]]; then
      previous="$word"
    elif [[ -n ${commands[(r)${(b)word}:*]} ]]; then
      previous="" at="${at:+$at }$word"
      _portolan_command "$at"
    fi
  done
  cur="${words[CURRENT]}"
  if [[ $cur == --*=* ]]; then
    previous="${cur%%=*}"
    compset -P '*='
  fi
  if [[ -n $previous ]] && (( ${takes[(Ie)$previous]} )); then
    _portolan_flag_values "$at$previous"
  elif [[ $cur == -* ]]; then
    _describe -o flag flags
    return
  elif (( ${#commands} )); then
    _describe command commands
    return
  fi
  if (( ${#values} )); then
    compadd -- "${values[@]}"
  else
    _files
  fi
}

if [[ ${funcstack[1]} == _portolan ]]; then
  _portolan "$@"
else
  compdef _portolan portolan
fi
`

	fishCompletion = `# fish completion for portolan
function __portolan_command
    set -l commands{{range $c := .}}{{range .Commands}} {{fishquote (print $c.Path " " .Name)}}{{end}}{{end}}
    set -l takes{{range $c := .}}{{range .ValueFlags}} {{fishquote (print $c.Path .)}}{{end}}{{end}}
    set -l at ''
    set -l previous ''
    set -l tokens (commandline -opc)
    set -e tokens[1]
    for word in $tokens
        if test -n "$previous"; and contains -- "$at$previous" $takes
            set previous ''
        else if string match -q -- '--*=*' $word
            set previous ''
        else if string match -q -- '-*' $word
            set previous $word
        else if contains -- "$at $word" $commands
            set previous ''
            set at (string trim -- "$at $word")
        end
    end
    test "$at" = "$argv[1]"
end

{{range $c := .}}
{{- range .Commands}}complete -c portolan -n {{fishquote (print "__portolan_command " (fishquote $c.Path))}} -f -a {{fishquote .Name}} -d {{fishquote .Help}}
{{end}}
{{- if .Values}}complete -c portolan -n {{fishquote (print "__portolan_command " (fishquote $c.Path))}} -f -a {{fishquote (join .Values " ")}}
{{end}}
{{- range .Flags}}complete -c portolan -n {{fishquote (print "__portolan_command " (fishquote $c.Path))}} -l {{.Bare}}{{if .Values}} -x -a {{fishquote (join .Values " ")}}{{else if .TakesValue}} -r{{end}} -d {{fishquote .Help}}
{{end}}
{{- end}}`
)
