package chart

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// fine is how many pixels a point has each way.
const fine = 2

// PNG writes a picture of curves of metric.
func PNG(w io.Writer, metric string, curves []Curve) error {
	face, err := newTypeface()
	if err != nil {
		return err
	}
	r := raster{image.NewRGBA(image.Rect(0, 0, pictureWidth*fine, height(curves, face.width)*fine)), face}
	draw.Draw(r.image, r.image.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	picture(r, metric, curves, face.width)
	return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(w, r.image)
}

// A raster is a canvas.
type raster struct {
	image *image.RGBA
	face  *typeface
}

// line is drawn as one figure: a box for each piece and a round joint at each end of one. All turn the same way, so that
// they do not cancel each other out where they overlap.
func (r raster) line(spots []spot, width float64, c color.RGBA) {
	f := newFigure(spots, width)
	half := width / 2
	for i, to := range spots {
		if width > 1 {
			f.disc(to, half)
		}
		if i == 0 {
			continue
		}
		from := spots[i-1]
		length := math.Hypot(to.x-from.x, to.y-from.y)
		if length == 0 {
			continue
		}
		ax, ay := (to.y-from.y)/length*half, -(to.x-from.x)/length*half
		f.outline(spot{from.x + ax, from.y + ay}, spot{to.x + ax, to.y + ay}, spot{to.x - ax, to.y - ay}, spot{from.x - ax, from.y - ay})
	}
	f.fill(r.image, c)
}

func (r raster) dot(at spot, radius float64, c color.RGBA) {
	f := newFigure([]spot{at}, 2*radius)
	f.disc(at, radius)
	f.fill(r.image, c)
}

// A figure is filled with one colour.
type figure struct {
	*vector.Rasterizer
	at image.Point // its upper left corner
}

// newFigure returns an empty figure with room for what lies around spots.
func newFigure(spots []spot, around float64) figure {
	left, right, top, bottom := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, p := range spots {
		left, right, top, bottom = min(left, p.x), max(right, p.x), min(top, p.y), max(bottom, p.y)
	}
	at := image.Pt(int((left-around)*fine), int((top-around)*fine))
	return figure{vector.NewRasterizer(int((right+around)*fine)-at.X+1, int((bottom+around)*fine)-at.Y+1), at}
}

func (f figure) disc(at spot, radius float64) {
	var around [12]spot
	for i := range around {
		sin, cos := math.Sincos(float64(i) / float64(len(around)) * 2 * math.Pi)
		around[i] = spot{at.x + radius*cos, at.y + radius*sin}
	}
	f.outline(around[:]...)
}

func (f figure) outline(corners ...spot) {
	for i, p := range corners {
		x, y := float32(p.x*fine-float64(f.at.X)), float32(p.y*fine-float64(f.at.Y))
		if i == 0 {
			f.MoveTo(x, y)
		} else {
			f.LineTo(x, y)
		}
	}
	f.ClosePath()
}

func (f figure) fill(on *image.RGBA, c color.RGBA) {
	f.Draw(on, f.Bounds().Add(f.at), image.NewUniform(c), image.Point{})
}

func (r raster) text(s string, at spot, anchor, size float64, c color.RGBA) {
	at.x -= anchor * r.face.width(s, size)
	d := font.Drawer{Dst: r.image, Src: image.NewUniform(c), Face: r.face.sized(size), Dot: fixed.Point26_6{
		X: fixed.Int26_6(at.x * fine * 64), Y: fixed.Int26_6(at.y * fine * 64),
	}}
	d.DrawString(s)
}

// A typeface measures and draws text.
type typeface struct {
	font  *opentype.Font
	faces map[float64]font.Face
}

func newTypeface() (*typeface, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the font: %w", err)
	}
	return &typeface{f, map[float64]font.Face{}}, nil
}

func (t *typeface) sized(size float64) font.Face {
	if t.faces[size] == nil {
		face, err := opentype.NewFace(t.font, &opentype.FaceOptions{Size: size * fine, DPI: 72})
		if err != nil {
			panic(err) // it fails for no size
		}
		t.faces[size] = face
	}
	return t.faces[size]
}

// width is that of s in points.
func (t *typeface) width(s string, size float64) float64 {
	return float64(font.MeasureString(t.sized(size), s)) / 64 / fine
}
