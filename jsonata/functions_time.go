package jsonata

import (
	"errors"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same on every machine
)

// The objects of $dtFromIso and $dtFromFormat have the methods and formats of Luxon's DateTime, as
// far as they do not depend on a language.

// inUTC is the zone of times without one. Its offset is written +00:00, that of UTC is Z.
var inUTC = time.FixedZone("", 0)

// isoMillis is the form of toISO, without the offset.
const isoMillis = "2006-01-02T15:04:05.000"

func (g *guard) dtFromISO(args []any) (any, error) {
	s, ok := textArgument(args, 0)
	if !ok {
		return nil, nil
	}
	t, valid := parseISO(s, inUTC)
	if zone, ok := textArgument(args, 1); ok && zone != "" {
		location, known := zoneNamed(zone)
		return g.dateTime(t.In(orUTC(location)), valid && known), nil
	}
	return g.dateTime(t.In(inUTC), valid), nil
}

func (g *guard) dtFromFormat(args []any) (any, error) {
	var s string
	switch v := args[0].(type) {
	case nil:
		return nil, nil
	default:
		s = jsText(v)
	}
	format, ok := textArgument(args, 1)
	if !ok {
		return nil, errors.New("expects a format as argument 2")
	}
	location, known := inUTC, true
	if len(args) > 2 && args[2] != nil {
		_, o := membersOf(args[2])
		if zone, ok := o["zone"].(string); ok {
			location, known = zoneNamed(zone)
		}
	}
	location = orUTC(location)
	var t time.Time
	valid := false
	switch format {
	case "ISO":
		t, valid = parseISO(s, location)
	case "RFC2822":
		for _, layout := range []string{time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04 -0700"} {
			var err error
			if t, err = time.Parse(layout, s); err == nil {
				valid = true
				break
			}
		}
	case "fromSeconds":
		seconds, err := strconv.ParseInt(leadingDigits.FindString(strings.TrimSpace(s)), 10, 64)
		t, valid = time.Unix(seconds, 0), err == nil && seconds < math.MaxInt32*1000 && seconds > -math.MaxInt32*1000
	default:
		t, valid = parseFormat(s, format, location, g.now())
	}
	return g.dateTime(t.In(location), valid && known), nil
}

var offsetForm = regexp.MustCompile(`^([+-]\d{1,2})(?::?(\d{2}))?`)

var leadingDigits = regexp.MustCompile(`^[+-]?\d+`)

func orUTC(l *time.Location) *time.Location {
	if l == nil {
		return inUTC
	}
	return l
}

var fixedZone = regexp.MustCompile(`(?i)^(?:utc|gmt)([+-]\d{1,2})(?::?(\d{2}))?$`)

// zoneNamed returns a zone by its IANA name, or as UTC+3.
func zoneNamed(name string) (*time.Location, bool) {
	switch strings.ToLower(name) {
	case "utc", "gmt":
		return time.UTC, true
	case "local", "system", "default":
		return inUTC, true
	}
	if m := fixedZone.FindStringSubmatch(name); m != nil {
		return time.FixedZone(name, offsetOf(m[1], m[2])), true
	}
	l, err := time.LoadLocation(name)
	return l, err == nil && strings.Contains(name, "/")
}

// offsetOf returns an offset, -5 or +05 and 30, in seconds.
func offsetOf(hours, minutes string) int {
	h, _ := strconv.Atoi(hours) // digits
	m, _ := strconv.Atoi("0" + minutes)
	if strings.HasPrefix(hours, "-") {
		m = -m
	}
	return h*3600 + m*60
}

var isoForm = regexp.MustCompile(`^(\d{4})(?:-?(\d{2})-?(\d{2})|-(\d{2})|-?(\d{3})|-?W(\d{2})(?:-?(\d))?)?` +
	`(?:T(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9})\d*)?)?)?(Z|([+-]\d{2})(?::?(\d{2}))?)?)?$`)

// parseISO reads a time of ISO 8601.
func parseISO(s string, location *time.Location) (time.Time, bool) {
	m := isoForm.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	n := func(i, otherwise int) int {
		if m[i] == "" {
			return otherwise
		}
		v, _ := strconv.Atoi(m[i]) // digits
		return v
	}
	f := fields{year: n(1, 0), month: n(2, n(4, 1)), day: n(3, 1), dayOfYear: n(5, 0), week: n(6, 0), weekday: n(7, 1)}
	f.hour, f.minute, f.second = n(8, 0), n(9, 0), n(10, 0)
	f.nanos, _ = strconv.Atoi((m[11] + "000000000")[:9])
	switch {
	case m[12] == "Z":
		location = time.UTC
	case m[12] != "":
		location = time.FixedZone("", offsetOf(m[13], m[14]))
	}
	return f.time(location)
}

// fields are the parts of a time.
type fields struct {
	year, month, day, dayOfYear, week, weekday int // week and dayOfYear: 0 if not used
	hour, minute, second, nanos                int
}

func (f fields) time(location *time.Location) (time.Time, bool) {
	day := f.day
	month := time.Month(f.month)
	switch {
	case f.dayOfYear > 0:
		month, day = time.January, f.dayOfYear
	case f.week > 0:
		fourth := time.Date(f.year, 1, 4, 0, 0, 0, 0, time.UTC) // is in week 1
		month, day = time.January, 4-isoWeekday(fourth)+(f.week-1)*7+f.weekday
	}
	t := time.Date(f.year, month, day, f.hour, f.minute, f.second, f.nanos, location)
	valid := f.hour <= 24 && f.minute < 60 && f.second < 60 && (f.hour < 24 || f.minute+f.second+f.nanos == 0)
	if f.dayOfYear == 0 && f.week == 0 {
		last := time.Date(f.year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
		valid = valid && f.month >= 1 && f.month <= 12 && day >= 1 && day <= last
	}
	return t, valid && f.dayOfYear <= 366 && f.week <= 53
}

func isoWeekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }

// dateTime returns t as an object with functions.
func (g *guard) dateTime(t time.Time, valid bool) any {
	if !valid {
		return g.invalidTime()
	}
	offset := t.Format("-07:00")
	if _, seconds := t.Zone(); seconds == 0 && t.Location() == time.UTC {
		offset = "Z"
	}
	iso := t.Format(isoMillis) + offset
	zone := t.Location().String()
	if zone == "" {
		zone = "UTC"
	}
	out := map[string]any{
		ownValue: ownPlain{iso}, "isValid": true, "zoneName": zone, "year": float64(t.Year()), "quarter": float64((t.Month()-1)/3 + 1), "month": float64(t.Month()),
		"day": float64(t.Day()), "hour": float64(t.Hour()), "minute": float64(t.Minute()), "second": float64(t.Second()),
		"millisecond": float64(t.Nanosecond() / 1e6), "weekday": float64(isoWeekday(t)), "ordinal": float64(t.YearDay()), "offset": offsetMinutes(t),
	}
	methods := map[string]func(args []any) (any, error){
		"toISO": func(args []any) (any, error) {
			if _, o := membersOf(args[0]); o["suppressMilliseconds"] == true && t.Nanosecond() < 1e6 {
				return t.Format("2006-01-02T15:04:05") + offset, nil
			}
			return iso, nil
		},
		"toISODate":     func([]any) (any, error) { return t.Format(time.DateOnly), nil },
		"toISOTime":     func([]any) (any, error) { return t.Format("15:04:05.000") + offset, nil },
		"toMillis":      func([]any) (any, error) { return float64(t.UnixMilli()), nil },
		"valueOf":       func([]any) (any, error) { return float64(t.UnixMilli()), nil },
		"toSeconds":     func([]any) (any, error) { return float64(t.UnixMilli()) / 1000, nil },
		"toUnixInteger": func([]any) (any, error) { return float64(t.Unix()), nil },
		"toHTTP":        func([]any) (any, error) { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), nil },
		"toRFC2822":     func([]any) (any, error) { return t.Format(time.RFC1123Z), nil },
		"toJSDate":      func([]any) (any, error) { return t.UTC().Format(isoMillis) + "Z", nil },
		"toUTC":         func([]any) (any, error) { return g.dateTime(t.UTC(), true), nil },
		"toFormat": func(args []any) (any, error) {
			format, ok := textArgument(args, 0)
			if !ok {
				return nil, errors.New("expects a format")
			}
			return formatted(t, format)
		},
		"setZone": func(args []any) (any, error) {
			name, _ := textArgument(args, 0)
			location, known := zoneNamed(name)
			return g.dateTime(t.In(orUTC(location)), known), nil
		},
		"plus":    func(args []any) (any, error) { return g.shifted(t, args[0], 1) },
		"minus":   func(args []any) (any, error) { return g.shifted(t, args[0], -1) },
		"set":     func(args []any) (any, error) { return g.changed(t, args[0]) },
		"startOf": func(args []any) (any, error) { return g.bound(t, args[0], false) },
		"endOf":   func(args []any) (any, error) { return g.bound(t, args[0], true) },
		"diff":    func(args []any) (any, error) { return g.diff(t, args) },
	}
	for name, f := range methods {
		out[name] = g.method(name, f)
	}
	return out
}

func offsetMinutes(t time.Time) float64 {
	_, seconds := t.Zone()
	return float64(seconds) / 60
}

// invalidTime is a time that could not be read. All of its results are null.
func (g *guard) invalidTime() any {
	out := map[string]any{ownValue: ownPlain{nil}, "isValid": false}
	for _, name := range []string{"toISO", "toISODate", "toISOTime", "toMillis", "valueOf", "toSeconds", "toUnixInteger", "toHTTP", "toRFC2822", "toJSDate", "toFormat"} {
		out[name] = g.method(name, func([]any) (any, error) { return gnataNull, nil })
	}
	for _, name := range []string{"toUTC", "setZone", "plus", "minus", "set", "startOf", "endOf"} {
		out[name] = g.method(name, func([]any) (any, error) { return g.invalidTime(), nil })
	}
	out["diff"] = g.method("diff", func([]any) (any, error) { return gnataNull, nil })
	return out
}

// units in the order of their size, with their usual length.
var units = []struct {
	name   string
	length time.Duration
}{
	{"year", 365 * 24 * time.Hour},
	{"quarter", 91 * 24 * time.Hour},
	{"month", 30 * 24 * time.Hour},
	{"week", 7 * 24 * time.Hour},
	{"day", 24 * time.Hour},
	{"hour", time.Hour},
	{"minute", time.Minute},
	{"second", time.Second},
	{"millisecond", time.Millisecond},
}

// unitNamed returns the index of a unit, in the singular or plural; -1 for none.
func unitNamed(name string) int {
	name = strings.TrimSuffix(strings.ToLower(name), "s")
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}

var errUnit = errors.New("a unit is not one of year, quarter, month, week, day, hour, minute, second, millisecond")

// amounts reads {"days": 1} or milliseconds, by unit.
func amounts(v any) ([9]float64, error) {
	var out [9]float64
	if f, ok := number(v); ok {
		out[len(out)-1] = f
		return out, nil
	}
	names, object := membersOf(v)
	if object == nil && v != nil {
		return out, errors.New("expects an object of units")
	}
	for _, name := range names {
		f, ok := number(object[name])
		unit := unitNamed(name)
		if unit < 0 {
			return out, errUnit
		}
		if !ok || math.Abs(f) > 1e12 {
			return out, errors.New("an amount is not a number of at most 1e12")
		}
		out[unit] = f
	}
	return out, nil
}

func (g *guard) shifted(t time.Time, v any, sign float64) (any, error) {
	by, err := amounts(v)
	if err != nil {
		return nil, err
	}
	for i := range by {
		by[i] *= sign
	}
	t, ok := shift(t, by)
	return g.dateTime(t, ok), nil
}

// shift adds amounts to t. A day that the month does not have becomes its last one.
func shift(t time.Time, by [9]float64) (time.Time, bool) {
	months := by[0]*12 + by[1]*3 + by[2]
	days := by[3]*7 + by[4]
	rest := (days-math.Trunc(days))*24*float64(time.Hour) + by[5]*float64(time.Hour) + by[6]*float64(time.Minute) + by[7]*float64(time.Second) + by[8]*float64(time.Millisecond)
	if math.Abs(months) > 12*10_000 || math.Abs(days) > 4e6 || math.Abs(rest) > math.MaxInt64 {
		return t, false
	}
	first := time.Date(t.Year(), t.Month()+time.Month(math.Trunc(months)), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	t = time.Date(first.Year(), first.Month(), min(t.Day(), last)+int(days), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location()).Add(time.Duration(rest))
	return t, t.Year() >= 0 && t.Year() <= 9999
}

func (g *guard) changed(t time.Time, v any) (any, error) {
	to, err := amounts(v)
	if err != nil {
		return nil, err
	}
	_, given := membersOf(v)
	is := map[int]bool{}
	for name := range given {
		is[unitNamed(name)] = true
	}
	f := fields{t.Year(), int(t.Month()), t.Day(), 0, 0, 0, t.Hour(), t.Minute(), t.Second(), t.Nanosecond()}
	for i, at := range []*int{&f.year, nil, &f.month, nil, &f.day, &f.hour, &f.minute, &f.second} {
		switch {
		case !is[i]:
		case at == nil:
			return nil, errUnit
		default:
			*at = int(to[i])
		}
	}
	if is[8] {
		f.nanos = int(to[8]) * 1e6
	}
	if !is[4] && f.month >= 1 && f.month <= 12 {
		f.day = min(f.day, time.Date(f.year, time.Month(f.month)+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	changed, ok := f.time(t.Location())
	return g.dateTime(changed, ok), nil
}

// bound returns the start or end of the unit in which t is.
func (g *guard) bound(t time.Time, unit any, end bool) (any, error) {
	name, _ := unit.(string)
	i := unitNamed(name)
	if i < 0 {
		return nil, errUnit
	}
	year, month, day := t.Date()
	start := time.Date(year, month, day, 0, 0, 0, 0, t.Location())
	switch units[i].name {
	case "year":
		start = time.Date(year, 1, 1, 0, 0, 0, 0, t.Location())
	case "quarter":
		start = time.Date(year, (month-1)/3*3+1, 1, 0, 0, 0, 0, t.Location())
	case "month":
		start = time.Date(year, month, 1, 0, 0, 0, 0, t.Location())
	case "week":
		start = start.AddDate(0, 0, 1-isoWeekday(t))
	case "day":
	default:
		_, seconds := t.Zone()
		local := time.Duration(seconds) * time.Second
		start = t.Add(local).Truncate(units[i].length).Add(-local)
	}
	if !end {
		return g.dateTime(start, true), nil
	}
	var one [9]float64
	one[i] = 1
	start, ok := shift(start, one)
	return g.dateTime(start.Add(-time.Millisecond), ok), nil
}

// diff returns the time from another one to t in units.
func (g *guard) diff(t time.Time, args []any) (any, error) {
	iso, _ := plainOf(args[0])
	text, _ := iso.(string)
	other, ok := parseISO(text, inUTC)
	if !ok {
		return gnataNull, nil
	}
	var wanted []int
	for _, name := range items(args[1]) {
		s, _ := name.(string)
		if i := unitNamed(s); i >= 0 {
			wanted = append(wanted, i)
		} else {
			return nil, errUnit
		}
	}
	if len(wanted) == 0 {
		wanted = []int{len(units) - 1}
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	sign := 1.0
	from := other.In(t.Location())
	if t.Before(from) {
		sign, from, t = -1, t, from
	}
	var out [9]float64
	for n, i := range wanted {
		last := n == len(wanted)-1
		length := units[i].length
		if i > 4 { // of always the same length
			left := float64(t.Sub(from)) / float64(length)
			if !last {
				left = math.Floor(left)
				from = from.Add(time.Duration(left) * length)
			}
			out[i] = left
			continue
		}
		steps := math.Max(math.Floor(float64(t.Sub(from))/float64(length))-1, 0)
		after := func(steps float64) time.Time {
			var by [9]float64
			by[i] = steps
			at, _ := shift(from, by)
			return at
		}
		for steps > 0 && after(steps).After(t) {
			steps--
		}
		for !after(steps + 1).After(t) {
			steps++
		}
		start, next := after(steps), after(steps+1)
		if out[i] = steps; last {
			out[i] += float64(t.Sub(start)) / float64(next.Sub(start))
		}
		from = start
	}
	for i := range out {
		out[i] *= sign
	}
	return g.duration(out, wanted), nil
}

// duration returns amounts of units as an object with functions.
func (g *guard) duration(amount [9]float64, wanted []int) any {
	out, members := map[string]any{}, map[string]any{}
	total := 0.0
	for _, i := range wanted {
		members[units[i].name+"s"] = amount[i] + 0
		total += amount[i] * float64(units[i].length)
	}
	maps.Copy(out, members)
	iso := isoDuration(amount)
	out[ownValue] = ownPlain{iso}
	out["toISO"] = g.method("toISO", func([]any) (any, error) { return iso, nil })
	out["toObject"] = g.method("toObject", func([]any) (any, error) { return members, nil })
	out["toMillis"] = g.method("toMillis", func([]any) (any, error) { return total / float64(time.Millisecond), nil })
	out["as"] = g.method("as", func(args []any) (any, error) {
		name, _ := textArgument(args, 0)
		i := unitNamed(name)
		if i < 0 {
			return nil, errUnit
		}
		return total / float64(units[i].length), nil
	})
	return out
}

// isoDuration returns amounts of units in the form P1DT12H.
func isoDuration(amount [9]float64) string {
	amount[2] += amount[1] * 3
	amount[7] += amount[8] / 1000
	var out strings.Builder
	clock := "T"
	for i, letter := range []string{"Y", "", "M", "W", "D", "H", "M", "S", ""} {
		if amount[i] == 0 || letter == "" {
			continue
		}
		if i > 4 {
			out.WriteString(clock)
			clock = ""
		}
		out.WriteString(strconv.FormatFloat(amount[i], 'f', -1, 64) + letter)
	}
	if out.Len() == 0 {
		return "PT0S"
	}
	return "P" + out.String()
}
