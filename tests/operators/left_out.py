"""What of ONNX's own tests is not run, and why."""

from __future__ import annotations

WITHOUT_LAYER = {
    "numbers of a type of their own: casts, quantization and bits": """
        BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike ConvInteger DequantizeLinear
        DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul QuantizeLinear""",
    "strings, labels and trees, which encoders and other tools are for": """
        ArrayFeatureExtractor Binarizer LabelEncoder RegexFullMatch StringConcat StringNormalizer StringSplit
        TfIdfVectorizer TreeEnsemble""",
    "lists and values that may be missing, which nets do not have": """
        OptionalGetElement OptionalHasElement SequenceInsert SequenceMap SplitToSequence""",
    "control of what runs, written as a graph": "If Loop Scan",
    "sizes that depend on values": "Compress NonMaxSuppression NonZero Unique",
    "sizes and constants, which are declarations of a net": "Constant ConstantOfShape EyeLike Range Shape Size",
    "optimizers, which are NetTrain's": "Adagrad Adam Momentum",
    "signals and windows": "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
    "decoding of image files, which encoders are for": "ImageDecoder",
    "numbers drawn at random, which are others": "Bernoulli",
    "Wolfram has no such layer": """
        CausalConvWithState Celu Col2Im CumProd CumSum DeformConv DepthToSpace Einsum FlexAttention GatherElements Hardmax
        IsInf IsNaN LinearAttention LpNormalization LpPool MaxUnpool RoiAlign RotaryEmbedding Scatter ScatterElements
        ScatterND Shrink SpaceToDepth SwiGLU TensorScatter ThresholdedRelu Trilu""",
}
"""Operators that no layer stands for."""

LEFT_OUT = {
    "PoolingLayer's Mean counts padded zeros": """
        averagepool_2d_precomputed_pads averagepool_2d_precomputed_same_upper averagepool_2d_same_upper
        averagepool_2d_same_lower averagepool_2d_pads""",
    "PoolingLayer rounds sizes down": """
        averagepool_2d_ceil averagepool_2d_ceil_last_window_starts_on_pad maxpool_2d_ceil
        maxpool_2d_ceil_output_size_reduce_by_one""",
    "PoolingLayer has no dilation": """
        averagepool_2d_dilations averagepool_3d_dilations_* maxpool_2d_dilations maxpool_3d_dilations
        maxpool_3d_dilations_use_ref_impl maxpool_3d_dilations_use_ref_impl_large""",
    "DeconvolutionLayer works in 1 or 2 dimensions": "convtranspose_3d",
    "DeconvolutionLayer adds nothing to an output's size": """
        convtranspose_output_shape convtranspose_pad convtranspose_kernel_shape""",
    "ResizeLayer interpolates linearly, or takes the nearest": "resize_*_cubic*",
    "ResizeLayer's Nearest takes whole factors": """
        resize_downsample_scales_nearest resize_*_sizes_nearest resize_*_sizes_nearest_*""",
    "ResizeLayer goes by the new size, and not by a factor that is rounded": """
        resize_downsample_scales_linear resize_downsample_scales_linear_align_corners
        resize_*_half_pixel_symmetric""",
    "ResizeLayer does not smooth": "resize_*_linear_antialias",
    "ResizeLayer takes the whole picture": "resize_tf_crop_and_resize*",
    "ResizeLayer puts one element in the middle": "resize_downsample_sizes_linear_pytorch_half_pixel",
    "SpatialTransformationLayer's places reach from the first to the last element": """
        affine_grid_2d gridsample gridsample_zeros_padding gridsample_bilinear
        gridsample_bilinear_align_corners_0_additional_1""",
    "SpatialTransformationLayer takes pictures of two dimensions": "affine_grid_3d* gridsample_volumetric_*",
    "SpatialTransformationLayer interpolates linearly, and is 0 outside": """
        gridsample_border_padding gridsample_reflection_padding gridsample_nearest* gridsample_bicubic*""",
    "ImageAugmentationLayer does not pad": """
        center_crop_pad_pad center_crop_pad_crop_and_pad center_crop_pad_crop_axes_hwc
        center_crop_pad_crop_negative_axes_hwc center_crop_pad_crop_axes_chw""",
    "LinearLayer has a bias for each output, not for each example": "gemm_default_matrix_bias",
    "no layer multiplies matrices with broadcasting": "matmul_bcast matmul_1d_3d",
    "PaddingLayer does not repeat an array around": "wrap_pad",
    "arrays without elements are refused": """
        reduce_*_empty_set reduce_*_empty_set_* slice_start_out_of_bounds split_zero_size_splits_* reshape_allowzero_reordered
        reversesequence_batch""",
    "a list of no axes means no reduction": "reduce_sum_empty_axes_input_noop reduce_sum_empty_axes_input_noop_example",
    "ElementwiseLayer's function has no parameters": """
        elu elu_example selu selu_example gelu_tanh_1 gelu_tanh_2 hardsigmoid hardsigmoid_default hardsigmoid_example""",
    "lists and values that may be missing": "identity_sequence identity_opt",
    "Mod has the sign of its second number": "mod_mixed_sign_float* mod_int64_fmod",
    "Divide gives real numbers": "div_int* div_uint*",
    "strings": "equal_string*",
    "numbers drawn at random": """
        training_dropout training_dropout_default training_dropout_mask training_dropout_default_mask""",
    "the loss layer weighs all classes equally, and ignores none": """
        sce_none_weight* sce_*mean_weight* sce_*sum_weight* sce_*_ii* nllloss_*with_weight* nllloss_*1_weight*
        nllloss_*mean_weight* nllloss_*sum_weight* nllloss_*_ii""",
    "OrderingLayer puts the last of equal elements last": """
        argmax_no_keepdims_example argmax_keepdims_example argmax_negative_axis_keepdims_example
        argmin_no_keepdims_example_select_last_index argmin_keepdims_example_select_last_index
        argmin_negative_axis_keepdims_example_select_last_index top_k_same_values*""",
    "UnitVectorLayer takes integers from 1 to n": "onehot_negative_indices onehot_out_of_range_indices",
    "no layer has peepholes": "lstm_with_peepholes",
    "GatedRecurrentLayer resets after the product (linear_before_reset)": "gru_seq_length gru_reverse gru_bidirectional",
    "AttentionLayer has as many heads of keys as of queries": "attention_*gqa* attention_3d_local_window",
    "AttentionLayer has no mask but the causal one, and no earlier keys but as a state": """
        attention_*mask* attention_*past* attention_*padded_kv* attention_*nonpad* attention_*_bias""",
    "AttentionLayer does not give its scores": "attention_*qk_matmul_*",
    "AttentionLayer's causal mask is for as many queries as keys": """
        attention_4d_causal attention_4d_diff_heads_sizes_causal attention_4d_causal_?p16 attention_4d_causal_bf16
        attention_3d_causal attention_3d_diff_heads_sizes_causal attention_3d_causal_bf16 attention_local_window""",
    "AttentionLayer's window ends at the query": "attention_bidirectional_window",
}
"""Cases of operators that layers stand for; ``*`` and ``?`` as in names of files."""
