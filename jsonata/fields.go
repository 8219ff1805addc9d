package jsonata

// Field is a member of the object that an expression builds as its result.
type Field struct {
	Name  string // "id"; of an object inside, "person/first-name"
	Key   int    // offset of the key in the source
	Value int    // offset of the value in the source
	Array bool   // the value is always an array or undefined
}

// Fields returns the members with literal keys of the object that the expression builds.
func (x *Expr) Fields() []Field { return resultFields(x.Source) }

// resultFields returns the members with literal keys of the object constructors that are the
// result of src, inside ( ), [ ], paths, conditions and $removeEmpty.
func resultFields(src string) []Field {
	tree, err := parseTree(src)
	if err != nil {
		return nil
	}
	f := fieldFinder{src: src}
	f.result(tree, "")
	return f.fields
}

type fieldFinder struct {
	src    string
	fields []Field
}

func (f *fieldFinder) result(n *treeNode, prefix string) {
	switch n.kind {
	case treeObject:
		f.members(n, prefix)
	case treeBlock, treeArray:
		if len(n.items) > 0 {
			f.result(n.items[len(n.items)-1], prefix)
		}
	case treePath, treeBind:
		f.result(n.right, prefix)
	case treePredicate, treeSort:
		f.result(n.left, prefix)
	case treeCondition:
		f.result(n.right, prefix)
		if n.other != nil {
			f.result(n.other, prefix)
		}
	case treeCall:
		if f.isRemoveEmpty(n.left) && len(n.items) == 1 {
			f.result(n.items[0], prefix)
		}
	case treeOperator:
		chained := n.right
		if chained.kind == treeCall {
			chained = chained.left
		}
		if n.token.is(f.src, "~>") && f.isRemoveEmpty(chained) {
			f.result(n.left, prefix)
		}
	default: // not an object constructor
	}
}

func (f *fieldFinder) isRemoveEmpty(n *treeNode) bool {
	return n.kind == treeVariable && n.token.text(f.src) == "removeEmpty"
}

func (f *fieldFinder) members(n *treeNode, prefix string) {
	for i := 0; i+1 < len(n.items); i += 2 {
		key, value := n.items[i], n.items[i+1]
		if key.kind != treeLiteral || key.token.kind != tokenString {
			continue
		}
		name := prefix + key.token.text(f.src)
		f.fields = append(f.fields, Field{Name: name, Key: key.start, Value: value.start, Array: isAlwaysArray(value)})
		if object := objectOf(value); object != nil {
			f.members(object, name+"/")
		}
	}
}

// objectOf returns the object constructor that n is, in brackets or not; nil if it is none.
func objectOf(n *treeNode) *treeNode {
	for n.kind == treeBlock && len(n.items) > 0 {
		n = n.items[len(n.items)-1]
	}
	if n.kind == treeObject {
		return n
	}
	return nil
}

// isAlwaysArray reports whether n is an array or undefined for all data. gnata heeds [] after a
// name, a call, a predicate and any step of a path.
func isAlwaysArray(n *treeNode) bool {
	switch n.kind {
	case treeArray:
		return true
	case treeName, treeCall:
		return n.keepArray
	case treePredicate:
		return n.keepArray || keepsArray(n.left)
	case treePath:
		return keepsArray(n) || n.right.kind == treeArray
	case treeBlock:
		return len(n.items) > 0 && isAlwaysArray(n.items[len(n.items)-1])
	case treeCondition:
		return isAlwaysArray(n.right) && (n.other == nil || isAlwaysArray(n.other))
	default:
		return false
	}
}

// keepsArray reports whether a step of the path n is followed by [].
func keepsArray(n *treeNode) bool {
	switch n.kind {
	case treePath:
		return keepsArray(n.left) || keepsArray(n.right)
	case treePredicate:
		return n.keepArray || keepsArray(n.left)
	default:
		return n.keepArray
	}
}
