// From a picture to the network's input: resize, colour, normalise, layout and precision in one pass.
//
// The semantics are those of pipeline/preprocess.py, which resizes each 8-bit plane with OpenCV and then converts: the
// arithmetic of cv::resize is repeated here with its roundings, so that both paths sample the same 8-bit values.
#include "pixel.cuh"

enum Mode { LINEAR = 0, AREA = 1, WHOLE = 2 }; // engines/kernels/sampling.py says which is which

struct Plane {
    const unsigned char *data;
    Axis rows;
    Axis columns;
    long long pitch; // bytes from row to row
    int step;        // bytes from pixel to pixel: 3 in BGR, 2 in the chroma of NV12
    int mode;
};

struct Letterbox {
    Plane planes[3];       // (Y, U, V), or (B, G, R)
    float weights[3][3];   // normalised colour = weights . planes + offsets, in the order red, green, blue
    float offsets[3];
    float lowest[3];       // the clip to 0..255 that a conversion to 8-bit colour makes, normalised
    float highest[3];
    int plane_of_color[3]; // where red, green and blue go in the tensor
    int content_height, content_width; // what the picture fills, from the top left; the rest is zero
    int height, width;                 // of the tensor (3, height, width)
    int reserved;
    void *out;
};

// cv::INTER_LINEAR of 8 bits: weights of 11 bits, and the roundings of its two passes.
FUNCTION int sample_linear(const Plane &plane, int y, int x) {
    const int left = plane.columns.first[x] * plane.step, right = plane.columns.last[x] * plane.step;
    const int left_weight = (int)plane.columns.weights[2 * x], right_weight = (int)plane.columns.weights[2 * x + 1];
    const unsigned char *upper = plane.data + plane.rows.first[y] * plane.pitch;
    const unsigned char *lower = plane.data + plane.rows.last[y] * plane.pitch;
    const int above = upper[left] * left_weight + upper[right] * right_weight;
    const int below = lower[left] * left_weight + lower[right] * right_weight;
    const int upper_share = ((int)plane.rows.weights[2 * y] * (above >> 4)) >> 16;
    const int lower_share = ((int)plane.rows.weights[2 * y + 1] * (below >> 4)) >> 16;
    return (upper_share + lower_share + 2) >> 2;
}

// cv::INTER_AREA: the mean of all that a pixel covers, those at its edge by their share.
FUNCTION int sample_area(const Plane &plane, int y, int x) {
    const float *row_weights = plane.rows.weights + y * plane.rows.stride;
    const float *column_weights = plane.columns.weights + x * plane.columns.stride;
    const int top = plane.rows.first[y], bottom = plane.rows.last[y];
    const int left = plane.columns.first[x], right = plane.columns.last[x];
    float sum = 0.0f;
    for (int row = top; row <= bottom; ++row) {
        const unsigned char *line = plane.data + row * plane.pitch;
        float along = 0.0f;
        for (int column = left; column <= right; ++column)
            along += (float)line[column * plane.step] * column_weights[column - left];
        sum += row_weights[row - top] * along;
    }
    return (int)fminf(fmaxf(rintf(sum), 0.0f), 255.0f);
}

// The same where a pixel covers whole pixels only: OpenCV sums integers then, and rounds a mean of 2x2 half up.
FUNCTION int sample_whole(const Plane &plane, int y, int x) {
    const int top = plane.rows.first[y], bottom = plane.rows.last[y];
    const int left = plane.columns.first[x], right = plane.columns.last[x];
    int sum = 0;
    for (int row = top; row <= bottom; ++row) {
        const unsigned char *line = plane.data + row * plane.pitch;
        for (int column = left; column <= right; ++column) sum += line[column * plane.step];
    }
    if (bottom - top == 1 && right - left == 1) return (sum + 2) >> 2;
    return (int)rintf((float)sum * plane.rows.weights[0]);
}

FUNCTION float sample(const Plane &plane, int y, int x) {
    if (plane.mode == LINEAR) return (float)sample_linear(plane, y, x);
    if (plane.mode == AREA) return (float)sample_area(plane, y, x);
    return (float)sample_whole(plane, y, x);
}

template <typename Number> FUNCTION void fill_pixel(const Letterbox &p) {
    const int x = pixel_x(), y = pixel_y();
    if (x >= p.width || y >= p.height) return;
    Number *out = (Number *)p.out + (long long)y * p.width + x;
    const long long plane_size = (long long)p.height * p.width;
    if (x >= p.content_width || y >= p.content_height) {
        for (int plane = 0; plane < 3; ++plane) store(out + plane * plane_size, 0.0f);
        return;
    }
    const float first = sample(p.planes[0], y, x);
    const float second = sample(p.planes[1], y, x);
    const float third = sample(p.planes[2], y, x);
    for (int color = 0; color < 3; ++color) {
        const float *weights = p.weights[color];
        const float value = weights[0] * first + weights[1] * second + weights[2] * third + p.offsets[color];
        store(out + p.plane_of_color[color] * plane_size, fminf(fmaxf(value, p.lowest[color]), p.highest[color]));
    }
}

KERNEL letterbox_f32(const Letterbox p) { fill_pixel<float>(p); }
KERNEL letterbox_f16(const Letterbox p) { fill_pixel<half_t>(p); }
