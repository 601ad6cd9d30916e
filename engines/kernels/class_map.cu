// From logits on the network's grid to the class of every pixel of the image, and the confidence of the grid.
//
// The semantics are those of pipeline/postprocess/segmentation.py: the argmax of the bilinearly interpolated logits,
// the first of equals. Where the four grid points around a pixel agree on the winner, it wins every mixture of them;
// only where they differ is anything interpolated. So there are two kernels: one over the grid, one over the image.
#include "pixel.cuh"

struct Grid {
    const void *logits;     // (classes, ., .): the first height rows and width columns stand for the image
    long long plane_stride; // in numbers, from class to class
    int row_stride;         // in numbers, from row to row
    int classes;
    int height, width;
    unsigned char *labels;  // (height, width): the winner at every point
    float *confidence;      // (height, width): its softmax probability
};

struct ClassMap {
    Grid grid;
    Axis rows, columns; // of every image row and column, and the share of the second point
    unsigned char *out; // (height, width)
    int height, width;
};

template <typename Number> FUNCTION void classify_point(const Grid &p) {
    const int x = pixel_x(), y = pixel_y();
    if (x >= p.width || y >= p.height) return;
    const Number *logits = (const Number *)p.logits + (long long)y * p.row_stride + x;
    float best = to_float(logits[0]);
    int label = 0;
    for (int k = 1; k < p.classes; ++k) {
        const float value = to_float(logits[k * p.plane_stride]);
        if (value > best) {
            best = value;
            label = k;
        }
    }
    float total = 0.0f;
    for (int k = 0; k < p.classes; ++k) total += expf(to_float(logits[k * p.plane_stride]) - best);
    p.labels[y * p.width + x] = (unsigned char)label;
    p.confidence[y * p.width + x] = 1.0f / total;
}

template <typename Number> FUNCTION int winner_between(const ClassMap &p, int y, int x) {
    const Grid &grid = p.grid;
    const Number *logits = (const Number *)grid.logits;
    const Number *upper = logits + (long long)p.rows.first[y] * grid.row_stride;
    const Number *lower = logits + (long long)p.rows.last[y] * grid.row_stride;
    const int left = p.columns.first[x], right = p.columns.last[x];
    const float v = p.rows.weights[y], u = p.columns.weights[x];
    float best = 0.0f;
    int label = -1;
    for (int k = 0; k < grid.classes; ++k) {
        const long long plane = k * grid.plane_stride;
        const float a = to_float(upper[plane + left]), b = to_float(upper[plane + right]);
        const float c = to_float(lower[plane + left]), d = to_float(lower[plane + right]);
        // In the order of the CPU path, so that equals stay equal.
        const float value = (a + (c - a) * v) + ((b - a) + (d - c - (b - a)) * v) * u;
        if (label < 0 || value > best) {
            best = value;
            label = k;
        }
    }
    return label;
}

template <typename Number> FUNCTION void classify_pixel(const ClassMap &p) {
    const int x = pixel_x(), y = pixel_y();
    if (x >= p.width || y >= p.height) return;
    const unsigned char *upper = p.grid.labels + p.rows.first[y] * p.grid.width;
    const unsigned char *lower = p.grid.labels + p.rows.last[y] * p.grid.width;
    const int left = p.columns.first[x], right = p.columns.last[x];
    int label = upper[left];
    if (upper[right] != label || lower[left] != label || lower[right] != label) label = winner_between<Number>(p, y, x);
    p.out[(long long)y * p.width + x] = (unsigned char)label;
}

KERNEL classify_grid_f32(const Grid p) { classify_point<float>(p); }
KERNEL classify_grid_f16(const Grid p) { classify_point<half_t>(p); }
KERNEL class_map_f32(const ClassMap p) { classify_pixel<float>(p); }
KERNEL class_map_f16(const ClassMap p) { classify_pixel<half_t>(p); }
