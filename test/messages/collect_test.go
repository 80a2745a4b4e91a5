package messages

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A kind of text has its own form rules.
type kind string

const (
	// kindStatus texts are shown as an object's message: they say what blocks it and what to do.
	kindStatus kind = "status"
	// kindNote texts are shown as an object's message, or as a warning, and need no action.
	kindNote kind = "note"
	// kindWhy texts are the reason of a step, shown behind it in a plan.
	kindWhy kind = "why"
	// kindError texts are errors and findings.
	kindError kind = "error"
	// kindLog texts are log messages.
	kindLog kind = "log"
	// kindPart texts are put into others.
	kindPart kind = "part"
)

// makers are the functions that messages are written in, by name. The text is any constant
// string among the arguments, so a maker of the same name elsewhere is one too.
var makers = map[string]kind{
	"Errorf": kindError, "New": kindError,
	"Info": kindLog, "Error": kindLog,

	// pkg/reconcile/plan
	"setBlocked": kindStatus, "blocked": kindStatus, "setStatus": kindStatus, "obstacle": kindStatus, "setStatusOfUndeclared": kindStatus,
	"remark": kindNote,
	"step":   kindWhy, "dangerousStep": kindWhy, "servingStep": kindWhy, "stepWithoutStatus": kindWhy, "wipeStep": kindWhy,
	"discardStep": kindWhy, "removalStep": kindWhy, "removeVolume": kindWhy, "removeLUN": kindWhy, "clone": kindWhy, "discard": kindWhy,
	"deactivate": kindWhy,

	// pkg/spec
	"refuse": kindError, "clash": kindError, "problem": kindError, "add": kindError,

	// pkg/actuators, pkg/image
	"Stale": kindError, "newStaleError": kindError, "newInUseError": kindError, "newSourceError": kindError,
	"malformed": kindError, "requestSyncRound": kindError,
}

// tellers are functions that return a message, or nothing.
var tellers = map[string]kind{
	"whyUnsupported": kindStatus, "mutualConflict": kindStatus, "whyNotWipeable": kindStatus, "damageOf": kindStatus, "whyGroupMayBeOld": kindStatus,
	"whyKept": kindStatus,
}

// fields are the fields of composite literals that messages are written in.
var fields = map[string]kind{"Why": kindWhy, "Message": kindStatus, "Warning": kindNote}

// internal are types whose texts users never see, each with what they are.
var internal = map[string]string{
	"phase": "the names of a plan's parts, for its tests",
}

// An area is a part of the code with a table of its own.
type area struct {
	name string
	dirs []string
	// except are folders below dirs that are not of the area.
	except []string
	// whole: every text of several words is a message or a part of one, wherever it is written.
	whole bool
}

var areas = []area{
	{name: "plan", dirs: []string{"pkg/reconcile/plan"}, whole: true},
	{name: "reconcile", dirs: []string{"pkg/reconcile"}, except: []string{"pkg/reconcile/plan", "pkg/reconcile/internal/model"}, whole: true},
	{name: "change", dirs: []string{"pkg/change"}, whole: true},
	{name: "spec", dirs: []string{"pkg/spec"}},
	{name: "doctor", dirs: []string{"pkg/doctor"}, whole: true},
	{name: "actuators", dirs: []string{"pkg/actuators"}},
	{name: "cli", dirs: []string{"cmd"}},
	{name: "others", dirs: []string{"pkg"}, except: []string{
		"pkg/reconcile", "pkg/change", "pkg/spec", "pkg/actuators", "pkg/doctor",
		"pkg/host/fakehost", // stands in for the tools in tests, and says what they say
	}},
}

// A message is a text as the code has it: variable parts are verbs.
type message struct {
	text string
	kind kind
	// file has it first, below the area's folder.
	file string
}

// collect returns the messages of an area, in the order of the code, each text once.
func collect(root string, a area) ([]message, error) {
	var found []message
	for _, dir := range a.dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			below, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if entry.IsDir() && (slices.Contains(a.except, below) || entry.Name() == "testdata") {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			for _, m := range messagesIn(file, a.whole) {
				m.file = strings.TrimPrefix(below, dir+"/")
				if at := slices.IndexFunc(found, func(f message) bool { return f.text == m.text }); at < 0 {
					found = append(found, m)
				} else {
					found[at].kind = stricter(found[at].kind, m.kind)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// stricter is the kind of a text that is used as both.
func stricter(a, b kind) kind {
	order := []kind{kindStatus, kindError, kindLog, kindNote, kindWhy, kindPart}
	return order[min(slices.Index(order, a), slices.Index(order, b))]
}

// messagesIn finds the messages of a file. whole: texts that no maker is given are parts.
func messagesIn(file *ast.File, whole bool) (found []message) {
	var walk func(n ast.Node, of kind)
	walk = func(n ast.Node, of kind) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.Field:
				walk(x.Type, of)
				return false
			case *ast.CallExpr:
				name := nameOf(x.Fun)
				if name == "panic" || name == "MustCompile" {
					return false
				}
				inner, isMaker := makers[name]
				if !isMaker && of != "" {
					inner = kindPart
				}
				if name == "Sprintf" {
					inner = of
				}
				walk(x.Fun, of)
				for _, arg := range x.Args {
					walk(arg, inner)
				}
				return false
			case *ast.CompositeLit:
				if isInternal(x.Type) {
					return false
				}
			case *ast.KeyValueExpr:
				if key, ok := x.Key.(*ast.Ident); ok && fields[key.Name] != "" {
					walk(x.Value, fields[key.Name])
					return false
				}
			case *ast.FuncDecl:
				if tells := tellers[x.Name.Name]; tells != "" && of == "" {
					walk(x.Body, tells)
					return false
				}
			case *ast.FuncLit:
				if of != "" {
					walk(x.Body, "")
					return false
				}
			case ast.Expr:
				text, ok := textOf(x)
				if !ok {
					return true
				}
				if isProse(text) && (of != "" || whole) {
					found = append(found, message{text: text, kind: cmp.Or(of, kindPart)})
				}
				if sum, ok := x.(*ast.BinaryExpr); ok {
					for _, part := range operands(sum) {
						if _, constant := constant(part); !constant {
							walk(part, "")
						}
					}
				}
				return false
			}
			return true
		})
	}
	walk(file, "")
	return found
}

// isInternal reports whether a composite literal is of an internal type, or a list of them.
func isInternal(of ast.Expr) bool {
	if list, ok := of.(*ast.ArrayType); ok {
		of = list.Elt
	}
	return internal[nameOf(of)] != ""
}

func nameOf(fun ast.Expr) string {
	switch x := fun.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

// isProse: a text of one word is a name, not a message, and one without words only wraps others.
func isProse(text string) bool {
	return strings.Contains(strings.TrimSpace(text), " ") && strings.ContainsFunc(verb.ReplaceAllString(text, ""), unicode.IsLetter)
}

// textOf is the text of a string that is constant, at least in part: what is not is a verb.
func textOf(e ast.Expr) (string, bool) {
	sum, ok := e.(*ast.BinaryExpr)
	if !ok {
		return constant(e)
	}
	var text strings.Builder
	known := false
	for _, part := range operands(sum) {
		s, ok := constant(part)
		if !ok {
			s = "%s"
		}
		known = known || ok
		text.WriteString(s)
	}
	return text.String(), known
}

// operands of a sum; nil for any other operation.
func operands(e ast.Expr) []ast.Expr {
	if sum, ok := e.(*ast.BinaryExpr); ok {
		if sum.Op != token.ADD {
			return nil
		}
		return append(operands(sum.X), operands(sum.Y)...)
	}
	return []ast.Expr{e}
}

func constant(e ast.Expr) (string, bool) {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}
